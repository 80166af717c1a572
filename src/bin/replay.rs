use std::process::ExitCode;

use github_event_etl::broker::{Broker, Names};
use github_event_etl::config::ReplayArgs;
use github_event_etl::{program, replay};

fn main() -> ExitCode {
    program::main(
        |args: &ReplayArgs| &args.telemetry,
        async |args, context| {
            let names = Names::new(&args.servers.namespace, args.source.queue());
            let broker = Broker::new(&args.servers.amqp()?, names, "replay")?;
            replay::run(args.source, broker, &context.health, context.shutdown).await
        },
    )
}
