//! The whole pipeline in one process: fetcher, loaders and dashboard with one shutdown, for one machine.

use tokio::task::JoinSet;

use crate::broker::{Broker, Names};
use crate::config::{AmqpUrl, RedisUrl, StandaloneArgs, github_tokens};
use crate::dashboard;
use crate::program::Context;
use crate::store::Store;
use crate::{fetcher, loader, status, telemetry, watch};

/// Runs the fetcher and `--loaders` loaders until the signal to stop. When one part fails, all stop.
///
/// # Errors
/// The first part's error.
pub async fn run(args: StandaloneArgs, context: Context) -> anyhow::Result<()> {
    let tls = args.servers.tls()?;
    let amqp = args.servers.amqp(&tls)?;
    let redis = args.servers.redis(&context.environment, &tls)?;
    let mut parts = JoinSet::new();
    start_fetcher(&mut parts, &args, &amqp, &context)?;
    for _ in 0..args.loaders {
        start_loader(&mut parts, &args, &amqp, &redis, &context)?;
    }
    start_dashboard(&args, &amqp, &redis, &context)?;
    let names = Names::new(&args.servers.namespace, &args.load.queue);
    status::tell(&context.board, &Broker::new(&amqp, names, "standalone")?, context.shutdown.clone());
    if args.watch {
        let (store, shutdown) = (Store::new(&redis, &args.servers.namespace)?, context.shutdown.clone());
        // Nobody waits for it: it ends with the program.
        tokio::spawn(async move { watch::run(&store, &shutdown).await });
    }
    let mut result = Ok(());
    while let Some(ended) = parts.join_next().await {
        // A part that ends takes the others along; the first error is the program's.
        context.shutdown.cancel();
        let ended =
            ended.unwrap_or_else(|panic| Err(anyhow::anyhow!("a part of the pipeline panicked: {panic}")));
        result = result.and(ended);
    }
    result
}

/// Nobody waits for it either: it ends with the program, and the pipeline does without.
fn start_dashboard(
    args: &StandaloneArgs,
    amqp: &AmqpUrl,
    redis: &RedisUrl,
    context: &Context,
) -> anyhow::Result<()> {
    let Some(listen) = args.dashboard_listen.0 else { return Ok(()) };
    // Here, because what records metrics lives with the pipeline, under its name, and the dashboard only shows them.
    telemetry::record("standalone")?;
    let settings = dashboard::Settings {
        amqp: amqp.clone(),
        redis: redis.clone(),
        namespace: args.servers.namespace.clone(),
        queue: args.load.queue.clone(),
        listen,
        access: args.dashboard_access.check(listen, &context.environment)?,
    };
    dashboard::serve_beside(settings, context.shutdown.clone());
    Ok(())
}

type Parts = JoinSet<anyhow::Result<()>>;

fn start_fetcher(
    parts: &mut Parts,
    args: &StandaloneArgs,
    amqp: &AmqpUrl,
    context: &Context,
) -> anyhow::Result<()> {
    let names = Names::new(&args.servers.namespace, &args.load.queue);
    let broker = Broker::new(amqp, names, "fetcher")?;
    let tokens = github_tokens(&context.environment)?;
    let (fetch, board, shutdown) = (args.fetch.clone(), context.board.clone(), context.shutdown.clone());
    let tls = amqp.tls().clone();
    parts.spawn(async move { fetcher::run(&fetch, false, broker, &tokens, &tls, &board, shutdown).await });
    Ok(())
}

fn start_loader(
    parts: &mut Parts,
    args: &StandaloneArgs,
    amqp: &AmqpUrl,
    redis: &RedisUrl,
    context: &Context,
) -> anyhow::Result<()> {
    let namespace = &args.servers.namespace;
    let broker = Broker::new(amqp, Names::new(namespace, &args.load.queue), "loader")?;
    let store = Store::new(redis, namespace)?;
    let (load, board, shutdown) = (args.load.clone(), context.board.clone(), context.shutdown.clone());
    parts.spawn(async move { loader::run(&load, false, broker, store, &board, shutdown).await });
    Ok(())
}
