//! Tests of the planner of heals.
