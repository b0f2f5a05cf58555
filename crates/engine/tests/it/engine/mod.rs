//! Whole runs: an engine with a journal on a simulated cloud, in real time.

mod blind;
mod claims;
mod decisions;
mod interruptions;
mod life;
mod ownership;
mod tenure;
