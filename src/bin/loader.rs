use std::process::ExitCode;

use github_event_etl::broker::{Broker, Names};
use github_event_etl::config::LoaderArgs;
use github_event_etl::store::Store;
use github_event_etl::{loader, program, status};

fn main() -> ExitCode {
    program::main(
        |args: &LoaderArgs| &args.telemetry,
        async |args, context| {
            let tls = args.servers.tls()?;
            let namespace = &args.servers.namespace;
            let names = Names::new(namespace, &args.load.queue);
            let broker = Broker::new(&args.servers.amqp(&tls)?, names, "loader")?;
            let store = Store::new(&args.servers.redis(&context.environment, &tls)?, namespace)?;
            status::tell(&context.board, &broker, context.shutdown.clone());
            loader::run(&args.load, args.drain, broker, store, &context.board, context.shutdown).await
        },
    )
}
