//! Whole runs: an engine with a journal on a simulated cloud, in real time.

mod blind;
mod claims;
mod life;
mod ownership;
mod scaling;
mod tenure;
