//! Whole runs: an engine with a journal on a simulated cloud, in real time unless it says otherwise.

mod blind;
mod care;
mod claims;
mod clouds;
mod decisions;
mod deploy;
mod drift;
mod interruptions;
mod life;
mod money;
mod ownership;
mod scaling;
mod soak;
mod targets;
mod tenure;
