//! The tests' GitHub: the simulator in this process, on a port of its own.

use std::io::Write;

use clap::Parser;
use github_event_etl_simulator::{Entered, Served, Simulator, SimulatorArgs, SourceSeen, State, Tally};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::status::get;
use super::wait::{DEADLINE, block_on};

pub struct GitHub {
    pub url: String,
    simulator: Simulator,
    shutdown: CancellationToken,
    /// What it plays.
    _recording: Option<NamedTempFile>,
}

impl GitHub {
    /// A GitHub with generated events, and the simulator's flags.
    pub fn generated(flags: &[&str]) -> Self {
        Self::start(flags, None)
    }

    /// A GitHub that shows these events, oldest first.
    pub fn recorded(events: &[Vec<u8>], flags: &[&str]) -> Self {
        let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
        for event in events {
            file.write_all(event).unwrap();
            file.write_all(b"\n").unwrap();
        }
        let path = file.path().to_str().unwrap().to_owned();
        Self::start(&[flags, &["--events", &path]].concat(), Some(file))
    }

    fn start(flags: &[&str], recording: Option<NamedTempFile>) -> Self {
        // A quota that no test uses up, unless it says so.
        let defaults = ["simulator", "--rate-limit", "1000000"];
        let defaults = if flags.contains(&"--rate-limit") { &defaults[..1] } else { &defaults[..] };
        let args = SimulatorArgs::try_parse_from([defaults, flags].concat()).unwrap();
        let simulator = Simulator::new(args.simulate).unwrap();
        let shutdown = CancellationToken::new();
        let url = block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let (simulator, shutdown) = (simulator.clone(), shutdown.clone());
            tokio::spawn(async move { simulator.run(listener, shutdown).await });
            url
        });
        Self { url, simulator, shutdown, _recording: recording }
    }

    pub fn served(&self) -> Served {
        self.simulator.served()
    }

    /// The events of a world's repositories that have entered until now, oldest first, from the history at the start on.
    pub fn entered(&self) -> Vec<Entered> {
        self.simulator.entered()
    }

    /// No more events happen in the world.
    pub fn rest(&self) {
        self.simulator.rest();
    }

    /// The feeds of a world: repositories, then organisations.
    pub fn sources(&self) -> Vec<SourceSeen> {
        self.simulator.sources()
    }

    /// From now on, this has become of the repository `owner/name`.
    pub fn set_state(&self, repository: &str, state: State) {
        assert!(self.simulator.set_state(repository, state), "{repository}");
    }

    /// Waits until what was served satisfies `condition`.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&Served) -> bool) -> Served {
        let waiting = async { tokio::time::timeout(DEADLINE, self.simulator.until(condition)).await };
        block_on(waiting).unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}: {:?}", self.served()))
    }

    /// Waits until somebody has fetched all `count` events, and then been told that there is nothing new: by then all of
    /// them must be stored.
    #[track_caller]
    pub fn until_all_fetched(&self, count: usize) -> Served {
        self.until("all events are fetched", |served| served.events.fetched == count as u64);
        let before = self.served().with_status(304);
        self.until("a 304 follows", |served| served.with_status(304) > before)
    }

    /// All that it shows now, oldest first, byte for byte, by requests of our own.
    pub fn shown(&self) -> Vec<Vec<u8>> {
        let page = |number: u32| -> Vec<Vec<u8>> {
            let body = self.get(&format!("/events?per_page=100&page={number}"));
            let elements: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&body).unwrap();
            elements.iter().map(|element| element.get().as_bytes().to_vec()).collect()
        };
        let mut shown: Vec<_> = (1..=3).flat_map(page).collect();
        shown.reverse();
        shown
    }

    /// The body of the answer to a plain request.
    fn get(&self, path: &str) -> String {
        let answer = get(self.url.trim_start_matches("http://"), path).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        body.to_owned()
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The feeds of a world's repositories that one can have: whether each was asked for, and their events in sum.
pub fn open_feeds(served: &Served) -> (bool, Tally) {
    let sums = [State::Served, State::Renamed].map(|state| served.world[state.name()]);
    let sum = |of: fn(&Tally) -> u64| sums.iter().map(|sum| of(&sum.events)).sum();
    let tally =
        Tally { entered: sum(|it| it.entered), fetched: sum(|it| it.fetched), missed: sum(|it| it.missed) };
    (sums.iter().all(|sum| sum.asked == sum.feeds), tally)
}
