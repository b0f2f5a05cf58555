//! A local node as a program of its own, for programs that embed the provider without the
//! `fleetwright` command. Its one argument is the directory of the node.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleetwright_local::node::main(std::env::args_os().skip(1))
}
