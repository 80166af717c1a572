use std::process::ExitCode;

use github_event_etl::config::DashboardArgs;
use github_event_etl::{dashboard, program};

fn main() -> ExitCode {
    program::main(|args: &DashboardArgs| &args.telemetry, dashboard::run)
}
