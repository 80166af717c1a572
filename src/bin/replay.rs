use std::process::ExitCode;

use github_event_etl::broker::{Broker, Names};
use github_event_etl::config::ReplayArgs;
use github_event_etl::{program, replay, status};

fn main() -> ExitCode {
    program::main(
        |args: &ReplayArgs| &args.telemetry,
        async |args, context| {
            let tls = args.servers.tls()?;
            let names = Names::new(&args.servers.namespace, args.source.queue());
            let broker = Broker::new(&args.servers.amqp(&tls)?, names, "replay")?;
            status::tell(&context.board, &broker, context.shutdown.clone());
            replay::run(args.source, broker, &tls, &context.health, context.shutdown).await
        },
    )
}
