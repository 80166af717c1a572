use std::process::ExitCode;

use github_event_etl::program;
use github_event_etl_simulator::{SimulatorArgs, serve};

fn main() -> ExitCode {
    program::main(
        |args: &SimulatorArgs| &args.telemetry,
        async |args, context| serve(args, context.shutdown).await,
    )
}
