//! Several tokens: one that is refused, used up or limited, and what the log says of it. No token is shown anywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use github_event_etl_simulator::{Seen, Served, SourceSeen};

use crate::support::canary::is_clean;
use crate::support::corner::Corner;
use crate::support::github::GitHub;
use crate::support::program::Program;
use crate::support::status::Status;
use crate::support::wait::eventually;

/// The first is asked with first.
const TOKENS: &str = "k4n4ry-one,k4n4ry-two";

/// Ten repositories, with new events all the time.
const WORLD: [&str; 4] = ["--repositories", "10", "--rate", "20"];

/// A fetcher with both tokens that polls all repositories, and serves its metrics.
struct Polling {
    fetcher: Program,
    status: Status,
}

impl Polling {
    fn start(corner: &Corner, github: &GitHub) -> Self {
        let status = Status::new();
        let variables = [
            ("AMQP_URL", corner.amqp_url.as_str()),
            ("ETL_NAMESPACE", &corner.namespace),
            ("GITHUB_API_URL", &github.url),
            ("GITHUB_TOKENS", TOKENS),
            ("METRICS_LISTEN", &status.address),
            ("RUST_LOG", "debug"),
        ];
        let sources = github.sources().into_iter().filter(is_repository);
        let flags: Vec<_> = sources.flat_map(|seen| ["--source".to_owned(), seen.source]).collect();
        let flags: Vec<_> =
            ["--poll-interval", "100ms"].into_iter().chain(flags.iter().map(String::as_str)).collect();
        Self { fetcher: Program::start("fetcher", &variables, &flags), status }
    }

    fn metrics(&self) -> String {
        self.status.get("/metrics").unwrap()
    }

    /// Stops it, and gives its log, which shows no token, as nothing else does.
    fn stop(self, corner: &Corner) -> String {
        is_clean("the fetcher", "/metrics", &self.metrics());
        let command_line = std::fs::read(format!("/proc/{}/cmdline", self.fetcher.pid())).unwrap();
        is_clean("the fetcher", "the command line", &String::from_utf8_lossy(&command_line));
        let log = self.fetcher.stop().stderr;
        is_clean("the fetcher", "the log", &log);
        is_clean("the fetcher", "its memory", &corner.memory().to_string());
        log
    }
}

/// A world and a fault.
fn world(fault: &str) -> GitHub {
    GitHub::generated(&[&WORLD[..], &["--fault", fault]].concat())
}

fn is_repository(seen: &SourceSeen) -> bool {
    seen.source.starts_with("repos/")
}

fn asked_with(served: &Served, token: usize) -> u64 {
    served.tokens.get(&token).copied().unwrap_or_default()
}

fn times(log: &str, words: &str) -> usize {
    log.lines().filter(|line| line.contains(words)).count()
}

#[test]
fn a_refused_token_is_told_once_its_sources_move_and_it_comes_back_with_nothing_lost() {
    let corner = Corner::new("refused-token");
    let started = chrono::Utc::now();
    let github = world("bad-credentials:token=k4n4ry-two,after=20,first=1");
    let polling = Polling::start(&corner, &github);
    polling.fetcher.wait_for("GitHub refuses token 2 of 2 (401): its 5 sources move to the other 1");
    eventually("the metric says so", || {
        polling.metrics().contains("github_etl_fetcher_tokens{state=\"refused\"} 1")
    });
    polling.fetcher.wait_for("GitHub takes token 2 of 2 again");
    let before = asked_with(&github.served(), 2);
    github.until("it asks again", |served| asked_with(served, 2) >= before + 20);
    let (entered, before) = (github.entered(), github.sources());
    eventually("all are polled since", || {
        let since = |(now, before): (SourceSeen, &SourceSeen)| now.answers >= before.answers + 4;
        github.sources().into_iter().zip(&before).filter(|(_, seen)| is_repository(seen)).all(since)
    });
    eventually("both are good", || polling.metrics().contains("github_etl_fetcher_tokens{state=\"good\"} 2"));
    assert!(polling.metrics().contains("github_etl_fetcher_token_rate_limit_remaining{token=\"2\"}"));
    let log = polling.stop(&corner);
    assert_eq!((times(&log, "GitHub refuses token"), times(&log, "gives no events")), (1, 0), "{log}");

    let published = corner.take_all("load");
    let published: Vec<_> = published.iter().map(|message| identity(&message.body)).collect();
    let ids: BTreeSet<_> = published.iter().cloned().collect();
    assert_eq!(ids.len(), published.len(), "each once");
    let entered: BTreeSet<_> = entered
        .into_iter()
        .filter(|one| one.created_at > started)
        .map(|one| (one.id, one.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
        .collect();
    assert!(entered.len() > 100 && entered.is_subset(&ids), "{} entered", entered.len());
    assert_eq!(corner.ready("gaps"), 0);
}

#[test]
fn a_token_without_quota_rests_and_the_other_one_asks_for_its_sources() {
    let corner = Corner::new("used-up-token");
    let github = world("rate-limit:token=k4n4ry-two,after=20,seconds=900");
    let polling = Polling::start(&corner, &github);
    let line = polling.fetcher.wait_for("token 2 of 2 has used up its quota");
    assert!(line.contains("its 5 sources move to the others"), "{line}");
    let [first, second] = [1, 2].map(|token| asked_with(&github.served(), token));
    github.until("the other goes on", |served| asked_with(served, 1) >= first + 100);
    assert_eq!(asked_with(&github.served(), 2), second);
    let log = polling.stop(&corner);
    assert_eq!((times(&log, "has used up its quota"), times(&log, "no source is polled")), (1, 0), "{log}");
}

#[test]
fn a_secondary_limit_of_one_token_stops_both() {
    let corner = Corner::new("limited-token");
    let github = world("secondary-limit:token=k4n4ry-two,after=20,first=1,seconds=3");
    let polling = Polling::start(&corner, &github);
    polling.fetcher.wait_for("GitHub limits our requests (403): no source is polled for 3 s");
    let since = |served: &Served| -> Vec<Seen> {
        served.recent.iter().skip_while(|seen| seen.status != 403).cloned().collect()
    };
    let served = github.until("it goes on", |served| since(served).len() > 10);
    let since = since(&served);
    let pause = (since[1].at - since[0].at).to_std().unwrap();
    assert!(pause >= Duration::from_millis(2_900), "{pause:?}");
    polling.stop(&corner);
}

#[test]
fn a_token_that_gets_old_answers_is_told_and_its_sources_move() {
    let corner = Corner::new("old-token");
    let quiet = ["--repositories", "10", "--rate", "0.01"];
    let fault = ["--fault", "old:events=30,token=k4n4ry-two,after=30"];
    let github = GitHub::generated(&[&quiet[..], &fault].concat());
    let polling = Polling::start(&corner, &github);
    polling.fetcher.wait_for("GitHub gives old answers to token 2 of 2, and newer ones to another");
    let [first, second] = [1, 2].map(|token| asked_with(&github.served(), token));
    github.until("the other goes on", |served| asked_with(served, 1) >= first + 50);
    assert_eq!(asked_with(&github.served(), 2), second);
    eventually("the metric says so", || {
        polling.metrics().contains("github_etl_fetcher_tokens{state=\"old-answers\"} 1")
    });
    let log = polling.stop(&corner);
    assert_eq!(times(&log, "GitHub gives old answers to token"), 1, "{log}");
}

#[test]
fn a_renamed_repository_is_told_once_by_its_new_name_and_asked_for_where_it_is() {
    let corner = Corner::new("renamed");
    let github = GitHub::generated(&["--repositories", "1", "--renamed", "1", "--rate", "5"]);
    let source = github.sources()[0].source.clone();
    let polling = Polling::start(&corner, &github);
    let paths = |served: &Served, begin: &str| {
        served.recent.iter().filter(|seen| seen.path.starts_with(begin)).count()
    };
    let served = github.until("it is polled where it is", |served| paths(served, "/repositories/") >= 20);
    assert_eq!(paths(&served, &format!("/{source}/")), 1, "no second request each time");
    // The redirect leaves out the query.
    let small = served.recent.iter().filter(|seen| !seen.path.contains("per_page=100"));
    assert_eq!(small.map(|seen| &seen.path).next(), None, "a page of 30 events was asked for");
    let log = polling.stop(&corner);
    let told: Vec<_> = log.lines().filter(|line| line.contains("GitHub redirects its feed")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(
        told[0].contains(&format!("{source} is repos/")) && told[0].contains("/repositories/"),
        "{}",
        told[0]
    );
}

/// What makes an event that one and no other: its id and its time.
fn identity(body: &[u8]) -> (String, String) {
    let event: serde_json::Value = serde_json::from_slice(body).unwrap();
    let text = |key: &str| event[key].as_str().unwrap().to_owned();
    (text("id"), text("created_at"))
}
