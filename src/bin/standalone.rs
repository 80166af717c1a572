use std::process::ExitCode;

use github_event_etl::config::StandaloneArgs;
use github_event_etl::{program, standalone};

fn main() -> ExitCode {
    program::main(|args: &StandaloneArgs| &args.telemetry, standalone::run)
}
