//! The `profile-gateway` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    profile_gateway::cli::main()
}
