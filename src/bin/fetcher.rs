use std::process::ExitCode;

use github_event_etl::broker::{Broker, Names};
use github_event_etl::config::{FetcherArgs, github_tokens};
use github_event_etl::{fetcher, program, status};

fn main() -> ExitCode {
    program::main(
        |args: &FetcherArgs| &args.telemetry,
        async |args, context| {
            let tls = args.servers.tls()?;
            // Declared by the fetcher too, so that events have where to go before the first loader starts.
            let names = Names::new(&args.servers.namespace, "load");
            let broker = Broker::new(&args.servers.amqp(&tls)?, names, "fetcher")?;
            let tokens = github_tokens(&context.environment)?;
            status::tell(&context.board, &broker, context.shutdown.clone());
            fetcher::run(&args.fetch, args.once, broker, &tokens, &tls, &context.board, context.shutdown)
                .await
        },
    )
}
