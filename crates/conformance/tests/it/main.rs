//! The suite, tried on a cloud in memory: it passes a correct one and fails each broken one.

mod flaws;
mod memory;
mod passes;
mod retrying;
mod verdicts;
