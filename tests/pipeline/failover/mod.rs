//! Redis behind Sentinel and in a Redis Cluster: every program finds the primary, and the new one after a failover. More faults, under
//! more load: `tests/resilience/sentinel.rs` and `tests/resilience/redis_cluster.rs`.

mod cluster;
mod login;
mod sentinel;

use crate::support::corner::{Corner, amqp_url};
use crate::support::dashboard::request;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::program::{Ended, Program};
use crate::support::wait::eventually;

/// `standalone` with a terminal's view and a dashboard, and what both show.
struct Standalone {
    program: Program,
    dashboard: String,
}

impl Standalone {
    fn start(corner: &Corner, github: &GitHub) -> Self {
        let flags = ["--watch", "--stream-maxlen", "0", "--dashboard-listen", "127.0.0.1:0"];
        let program = corner.polling("standalone", &corner.amqp_url, &github.url, &flags);
        let dashboard =
            crate::support::dashboard::address_in(&program.wait_for(crate::support::dashboard::LISTENS));
        Self { program, dashboard }
    }

    fn get(&self, path: &str) -> serde_json::Value {
        request(&self.dashboard, "GET", path, &[("Host", &self.dashboard)], "").unwrap().json()
    }

    /// Waits until the terminal and every page about Redis show events of `hour`, and the event `id` as loaded.
    #[track_caller]
    fn shows(&self, hour: &str, id: &str) {
        eventually("the terminal shows events", || self.program.stdout().contains("top developers"));
        eventually("the hour is shown", || self.get("/api/overview").to_string().contains(hour));
        eventually("its developers are shown", || {
            let board = self.get(&format!("/api/leaderboard?hour={hour}&limit=5"));
            board["developers"].as_array().is_some_and(|developers| !developers.is_empty())
        });
        eventually("events are shown", || {
            self.get("/api/events?limit=5")["events"].as_array().is_some_and(|events| !events.is_empty())
        });
        let log = format!("/api/event-log?id={id}&created_at={hour_at}", hour_at = created_at(hour));
        eventually("the event is known as loaded", || self.get(&log)["loaded"] == true);
    }
}

/// The hour of the events in these stories.
const HOUR: &str = "2015-01-01-12";

/// `standalone` that fetches and loads 300 events while the primary changes.
struct Loading {
    events: Vec<Vec<u8>>,
    github: GitHub,
    corner: Corner,
    standalone: Standalone,
}

impl Loading {
    /// Begins, with so many events `per_poll`, and waits until the first event is shown.
    fn begin(story: &str, redis_url: &str, per_poll: &str) -> Self {
        let corner = Corner::at(story, &amqp_url(), redis_url);
        let events: Vec<_> = (0..300).map(|id| event(id).bytes()).collect();
        let github = GitHub::recorded(&events, &["--per-poll", per_poll]);
        let standalone = Standalone::start(&corner, &github);
        standalone.shows(HOUR, "0");
        Self { events, github, corner, standalone }
    }

    /// Waits until all is loaded and shown, stops the program, and compares Redis with what it must hold.
    #[track_caller]
    fn ends(self) -> Ended {
        self.github.until_all_fetched(self.events.len());
        eventually("all events are loaded", || self.corner.try_loaded().is_ok_and(|count| count == 300));
        self.standalone.shows(HOUR, "299");
        let ended = self.standalone.program.stop();
        assert_same("Redis", &self.corner.dump(), &Oracle::of(&self.events).lines());
        ended
    }
}

/// The time of the events in these stories.
fn created_at(hour: &str) -> String {
    format!("{}T{}:00:01Z", &hour[..10], &hour[11..])
}
