use std::process::ExitCode;

use github_event_etl::config::SimulatorArgs;
use github_event_etl::{program, simulator};

fn main() -> ExitCode {
    program::main(
        |args: &SimulatorArgs| &args.telemetry,
        async |args, context| simulator::serve(args, context.shutdown).await,
    )
}
