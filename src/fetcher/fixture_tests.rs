//! Feeds for unit tests, at an address where nobody answers.

use std::time::Duration;

use super::feed::Feed;
use super::feeds::Feeds;
use crate::config::Tls;
use crate::github::Client;

/// How often a feed sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// A client without a token for GitHub's API at this address.
pub(super) fn client_of(api: &str) -> Client {
    // The provider may be installed already, by another test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(api.parse().unwrap(), &[], &Tls::default()).unwrap()
}

pub(super) fn client() -> Client {
    client_of("http://127.0.0.1:1")
}

pub(super) fn feed(source: &str, client: &Client) -> Feed {
    Feed::new(source.parse().unwrap(), client, SWEEP_EVERY)
}

/// So many repositories, with one token.
pub(super) fn feeds(repositories: usize, client: &Client) -> Feeds {
    let mut feeds = Feeds::new(1, None, SWEEP_EVERY);
    feeds.all = (0..repositories).map(|number| feed(&format!("repos/o/{number}"), client)).collect();
    feeds.changed();
    feeds
}
