//! The commands, and what each exits with.

mod check;
mod demo;
mod explain;
mod limits;
mod serve;
mod simulate;
mod terminal;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Authenticating gateway for the Adobe Experience Platform Real-Time Customer Profile API.
///
/// Internal services call it without credentials; it adds a fresh access token and the headers that routing
/// configuration decides, keeps to the quotas, and forwards to Adobe.
///
/// Exit codes: 0 success, 1 failure, 2 wrong usage, 78 wrong configuration.
#[derive(Debug, Parser)]
#[command(version, about, long_about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests as a configuration says.
    Run(Config),
    /// Check a configuration and list everything wrong with it; exits with 1 if there is anything.
    Check(Check),
    /// Say what the gateway would do with a request and why, or everything that callers may do. Nothing is sent.
    ///
    /// The head of a request is looked at as the gateway does it, up to what would go to Adobe. Not told are what becomes of
    /// payloads, of quotas that are used up and of tokens, and what Adobe answers.
    Explain(explain::Options),
    /// Run a gateway and a simulated Adobe in one process, with nothing to configure.
    Demo(demo::Options),
    /// Run the simulated Adobe alone: IMS and the Profile API, to develop and test against.
    Simulate(simulate::Options),
    /// Ask IMS for a token and print everything about it but itself, or what is wrong and what to do.
    Token(token::Options),
    /// Print the JSON Schema of the configuration.
    Schema,
}

#[derive(Args, Debug)]
struct Config {
    /// The configuration: a YAML file, or a folder of them, merged by section.
    #[arg(
        long,
        env = "PROFILE_GATEWAY_CONFIG",
        default_value = "/etc/profile-gateway/gateway.yaml"
    )]
    config: PathBuf,
}

#[derive(Args, Debug)]
struct Check {
    #[command(flatten)]
    config: Config,
    /// How faults are printed.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    format: Output,
}

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Human,
    /// One JSON object.
    Json,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Success,
    Failure,
    Usage,
    Configuration,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            // As clap does.
            Exit::Usage => 2,
            // EX_CONFIG of sysexits.h.
            Exit::Configuration => 78,
        })
    }
}

/// Reads the command line and runs what it asks for.
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run(options) => serve::run(&options.config),
        Command::Check(options) => check::check(&options.config.config, options.format),
        Command::Demo(options) => demo::demo(&options),
        Command::Explain(options) => explain::explain(&options),
        Command::Simulate(options) => simulate::simulate(options),
        Command::Token(options) => token::token(&options),
        Command::Schema => {
            terminal::print(&format!("{:#}", crate::config::schema()));
            Exit::Success
        }
    };
    exit.into()
}
