//! The first stage: polls GitHub politely and publishes each event, as sent, with a confirm.
//!
//! - Each source has a `feed`: its ETag, its interval, its `memory`. The sources of a token share its `budget` of requests. The
//!   pool of `tokens` knows which source a token asks for. Limits of all tokens are in `secondary`. There is one request at a time.
//! - The `sources` come from flags and from a file that may change. The `schedule` learns how active each source is (`activity`)
//!   and plans its polls. `feeds` says which one is next.
//! - A poll reads pages until an event that was seen before (`walk`). Its events are published. The feed remembers them only
//!   after RabbitMQ has confirmed all of them.
//! - One fetcher of a namespace polls: the one on `duty`. It saves the memory of all feeds in a queue, so that the next process
//!   continues from there (`keeper`, `remembered`, `snapshot`).
//! - The status of each source is told after its polls (`listing`).
//! - `freshness` finds feeds that have gone stale or thin, and tokens that get old answers. It only tells.
//! - Copies for the archive and records of gaps are published in the background and stop nothing (`extras`, `background`,
//!   `backlog`).
//!
//! The program is ready when RabbitMQ is. It stays ready while GitHub is away: a restart would not help, and the missed time is
//! recorded as a gap.

mod activity;
mod address;
mod background;
mod backlog;
mod budget;
mod coverage;
mod duty;
mod extras;
mod feed;
mod feeds;
#[cfg(test)]
mod fixture_tests;
mod freshness;
mod keeper;
mod listing;
mod memory;
mod moment;
mod poller;
mod remembered;
mod report;
mod schedule;
mod secondary;
mod snapshot;
mod sources;
mod summary;
mod tokens;
mod trouble;
mod walk;

use std::time::Duration;

use anyhow::bail;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, PublishError};
use crate::config::{FetchArgs, Tls};
use crate::github::Client;
use crate::status::Board;
use poller::Poller;

/// How long closing the connections to RabbitMQ may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// Polls every source of `args` and publishes new events, until `shutdown`; with `once`, each source a single time.
///
/// # Errors
/// When the configuration is invalid, when RabbitMQ refuses access at the start, and with `once` when a source could not
/// be polled, by name.
pub async fn run(
    args: &FetchArgs,
    once: bool,
    broker: Broker,
    tokens: &[SecretString],
    tls: &Tls,
    board: &Board,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    warn_of_open_token(&args.api_url()?, !tokens.is_empty());
    report::describe();
    let client = Client::new(args.api_url()?, tokens, tls)?;
    let mut poller = Poller::new(args, client, broker, board, shutdown).await?;
    let ended = if once {
        poller.poll_each_once().await
    } else {
        poller.poll_for_ever().await.map(|never| match never {})
    };
    // A RabbitMQ that blocks this connection does not answer. Then the socket is closed.
    if tokio::time::timeout(GOODBYE, poller.close()).await.is_err() {
        tracing::warn!(
            "stopping: RabbitMQ does not answer; the next fetcher publishes the events of the last seconds again"
        );
    }
    match ended {
        Ok(Some(faults)) if faults.is_empty() => Ok(()),
        Ok(None) => bail!(
            "another fetcher polls for this namespace, and two would poll the same twice: stop it first, or use another --namespace"
        ),
        Ok(Some(faults)) => bail!("not every source was polled: {}", faults.join("; ")),
        Err(PublishError::Interrupted(_)) => Ok(()),
        Err(error @ PublishError::Hopeless(_)) => Err(error.into()),
    }
}

/// A token sent without TLS can be read on the way.
fn warn_of_open_token(api: &url::Url, has_token: bool) {
    let is_local = match api.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if has_token && api.scheme() == "http" && !is_local {
        tracing::warn!(
            "--api-url (GITHUB_API_URL) is http://: GITHUB_TOKEN goes over the network unencrypted"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_can_run_as_a_task() {
        fn task<F: Future + Send>(_: fn(FetchArgs, Broker, Board, CancellationToken) -> F) {}
        task(|args, broker, board, shutdown| async move {
            run(&args, false, broker, &[], &Tls::default(), &board, shutdown).await
        });
    }
}
