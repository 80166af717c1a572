//! Events to measure with: of several types and sizes, from the simulator's generator with a fixed seed.

use std::fmt;
use std::sync::LazyLock;

use chrono::DateTime;
use github_event_etl_simulator::Generator;

/// Type and about how many bytes. Pushes are most of the feed; the last ones are long comments.
const WANTED: [(&str, usize); 7] = [
    ("PushEvent", 700),
    ("CreateEvent", 700),
    ("PullRequestEvent", 1_100),
    ("WatchEvent", 500),
    ("IssueCommentEvent", 3_000),
    ("IssueCommentEvent", 10_000),
    ("IssueCommentEvent", 50_000),
];

/// An event with its type.
pub struct Sample {
    kind: &'static str,
    pub body: Vec<u8>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {:.1} KB", self.kind, self.body.len() as f64 / 1000.0)
    }
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let mut generators = [Generator::new(1), Generator::new(1).with_mean_size(10_000)];
    let mut next = |place: usize| generators[place % 2].next_event(DateTime::UNIX_EPOCH);
    let pool: Vec<String> = (0..20_000).map(&mut next).collect();
    let closest = |(kind, size): (&'static str, usize)| {
        let field = format!("\"type\":\"{kind}\"");
        let body =
            pool.iter().filter(|body| body.contains(&field)).min_by_key(|body| body.len().abs_diff(size))?;
        Some(Sample { kind, body: body.clone().into_bytes() })
    };
    WANTED.into_iter().filter_map(closest).collect()
});

/// Of each type, the event that comes closest to the size.
pub fn samples() -> &'static [Sample] {
    &SAMPLES
}

/// A page of the Events API with this many events.
pub fn page(events: usize) -> Vec<u8> {
    let mut generator = Generator::new(1);
    let events: Vec<String> = (0..events).map(|_| generator.next_event(DateTime::UNIX_EPOCH)).collect();
    format!("[{}]", events.join(",")).into_bytes()
}
