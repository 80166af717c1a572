use std::process::ExitCode;

use github_event_etl::config::SimulatorArgs;
use github_event_etl::program;

fn main() -> ExitCode {
    program::main(|args: &SimulatorArgs| &args.telemetry, async |_args, _context| Ok(()))
}
