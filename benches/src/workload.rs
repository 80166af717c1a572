//! The events that all sides work on: generated with a fixed seed, or real ones from files.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use github_event_etl_simulator::Generator;

use crate::args::Args;
use crate::files;

/// Events with a name.
pub struct Workload {
    pub name: String,
    pub events: Vec<Vec<u8>>,
}

/// As until 2025, in the mean.
const RICH_BYTES: u32 = 2_900;
/// GitHub's public feed has about 58 events a second, so as many share a second in the event log.
const FEED_INTERVAL_MS: i64 = 17;
/// Pushes for each other event: 95 %.
const PUSHES_PER_OTHER: usize = 19;

impl Workload {
    /// The workloads of a run: real events if there is `--data`, the two generated ones if not.
    pub fn all(args: &Args) -> Result<Vec<Self>> {
        if args.data.is_empty() {
            return Ok(vec![Self::rich(args.events), Self::today(args.events)]);
        }
        let events = files::events(&args.data, args.events)?;
        ensure!(!events.is_empty(), "--data: no events in {:?}", args.data);
        Ok(vec![Self { name: "real events".into(), events }])
    }

    fn rich(count: usize) -> Self {
        let mut generator = Generator::new(1).with_mean_size(RICH_BYTES);
        Self::generated("2.9 KB, until 2025", count, |at| generator.next_event(at))
    }

    fn today(count: usize) -> Self {
        let mut generator = Generator::new(1);
        let mut pushes_owed = 0;
        let next = |at| {
            // The generator has the mix of 2025. Of what is no push, most is left out.
            loop {
                let event = generator.next_event(at);
                if event.contains(r#""type":"PushEvent""#) {
                    pushes_owed -= i64::from(pushes_owed > 0);
                } else if pushes_owed > 0 {
                    continue;
                } else {
                    pushes_owed = PUSHES_PER_OTHER as i64;
                }
                return event;
            }
        };
        Self::generated("today's feed, 95 % pushes", count, next)
    }

    fn generated(name: &str, count: usize, mut next: impl FnMut(DateTime<Utc>) -> String) -> Self {
        // A fixed time, so that two runs have the same events.
        let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_240);
        let at = |place: usize| start + TimeDelta::milliseconds(FEED_INTERVAL_MS * place as i64);
        let events = (0..count).map(|place| next(at(place)).into_bytes()).collect();
        Self { name: name.into(), events }
    }

    /// Bytes of an event, in the mean.
    pub fn mean_bytes(&self) -> f64 {
        self.events.iter().map(Vec::len).sum::<usize>() as f64 / self.events.len() as f64
    }

    /// The events as gzipped lines in files, as GH Archive has them, below `folder`.
    pub fn gzipped(&self, folder: &std::path::Path) -> Result<Vec<PathBuf>> {
        let name: String =
            self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let folder = folder.join("files").join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        files::write(&folder, &self.events)
    }
}
