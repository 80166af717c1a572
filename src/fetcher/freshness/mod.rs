//! Whether what GitHub shows is fresh and whole, judged against the feeds' own past. In memory only: a new process learns its
//! past afresh, for an hour or a day.
//!
//! - `silence`: a feed, or all feeds of a kind, show nothing new for much longer than ever before.
//! - `mix`: a type of events that used to have a solid share has all but gone from the feeds of a kind.
//! - `order`: an answer ends with older events than the feed has shown before, again and again.
//!
//! Each is logged once, and once when it is over. Nothing here changes how events are read and published.

mod mix;
mod order;
mod silence;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Source;
use crate::duration::Rounded;
use mix::{Mix, MixNews};
use silence::{Silence, SilenceNews};

pub(super) use order::{Order, OrderNews};

/// How long feeds must be known before a silence means anything: a day, because repositories sleep at night. The feed of all
/// events never sleeps.
const KNOWN_MIN: Duration = Duration::from_secs(24 * 3600);
const KNOWN_MIN_OF_ALL_EVENTS: Duration = Duration::from_secs(3600);

/// The freshness of the feeds of each kind.
#[derive(Default)]
pub(super) struct Freshness(BTreeMap<&'static str, OfKind>);

#[derive(Default)]
struct OfKind {
    silence: Silence,
    mix: Mix,
}

/// The freshness of one feed.
#[derive(Default)]
pub(super) struct FeedFreshness {
    silence: Silence,
    pub(super) order: Order,
}

/// How the feeds of a kind stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KindFreshness {
    /// All feeds of the kind together are silent.
    pub is_silent: bool,
    /// Feeds of the kind that are stale themselves.
    pub stale_sources: usize,
    /// Types that have all but gone.
    pub thin_types: usize,
}

impl FeedFreshness {
    /// True while the feed is silent, or shows old events only.
    pub(super) fn is_stale(&self) -> bool {
        self.silence.is_told() || self.order.is_told()
    }

    /// Notes a good poll of `source` that brought so many new events, and logs news. True if the feed has just been found silent.
    pub(super) fn note(&mut self, source: &Source, events_new: usize, now: Instant) -> bool {
        match self.silence.note(events_new, known_min(source), now) {
            Some(SilenceNews::Begun { lasts, longest }) => {
                tracing::warn!(
                    source = %source, silent_s = lasts.as_secs(),
                    "{source} has shown nothing new for {}, and before never longer than for {}: it is asked for without its ETag",
                    Rounded(lasts), Rounded(longest)
                );
                true
            }
            Some(SilenceNews::Over { lasted }) => {
                tracing::info!(source = %source, "{source} shows new events again after {}", Rounded(lasted));
                false
            }
            None => false,
        }
    }
}

impl Freshness {
    /// Notes a good poll of `source`, with the types of its new events, and logs news about the kind, of which so many feeds are
    /// stale.
    pub(super) fn note(
        &mut self,
        source: &Source,
        types: &[&str],
        stale_sources: usize,
        now: Instant,
    ) -> KindFreshness {
        let kind = source.kind();
        let of_kind = self.0.entry(kind).or_default();
        if let Some(news) = of_kind.silence.note(types.len(), known_min(source), now) {
            tell_silence(kind, &news);
        }
        of_kind.mix.note(types.iter().copied(), now).iter().for_each(|news| tell_mix(kind, news));
        KindFreshness { is_silent: of_kind.silence.is_told(), stale_sources, thin_types: of_kind.mix.thin() }
    }
}

fn known_min(source: &Source) -> Duration {
    if *source == Source::Events { KNOWN_MIN_OF_ALL_EVENTS } else { KNOWN_MIN }
}

fn tell_silence(kind: &'static str, news: &SilenceNews) {
    match news {
        SilenceNews::Begun { lasts, longest } => tracing::warn!(
            kind,
            silent_s = lasts.as_secs(),
            "GitHub answers, but no feed of the kind {kind} has shown anything new for {}, and before never longer than for {}: \
             the feeds are stale; see https://www.githubstatus.com",
            Rounded(*lasts),
            Rounded(*longest)
        ),
        SilenceNews::Over { lasted } => {
            tracing::info!(kind, "feeds of the kind {kind} show new events again after {}", Rounded(*lasted));
        }
    }
}

fn tell_mix(kind: &'static str, news: &MixNews) {
    match news {
        MixNews::Thin { name, per_hour, usual_per_hour } => tracing::warn!(
            kind,
            event_type = name,
            "{name} has all but gone from the feeds of the kind {kind}: {per_hour:.1} an hour, usually {usual_per_hour:.1}, while \
             other events come as before. GitHub may have changed what these feeds show"
        ),
        MixNews::Over { name } => {
            tracing::info!(kind, event_type = name, "{name} is back in the feeds of the kind {kind}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_feed_is_stale_and_its_kind_only_if_all_are() {
        let [loud, quiet]: [Source; 2] = ["repos/o/loud", "repos/o/quiet"].map(|text| text.parse().unwrap());
        let (mut kinds, start) = (Freshness::default(), Instant::now());
        let (mut of_loud, mut of_quiet) = (FeedFreshness::default(), FeedFreshness::default());
        let mut stands = Vec::new();
        // Both have an event every five minutes for a day and a half. Then one falls silent.
        for minute in (0..60 * 48).step_by(5) {
            let now = start + Duration::from_secs(minute * 60);
            let is_silent = minute > 60 * 36;
            let types = if is_silent { &[][..] } else { &["PushEvent"] };
            of_loud.note(&loud, 1, now);
            let begins = of_quiet.note(&quiet, types.len(), now);
            kinds.note(&loud, &["PushEvent"], 0, now);
            let of_kind = kinds.note(&quiet, types, 0, now);
            if begins {
                stands.push((minute, of_loud.is_stale(), of_quiet.is_stale(), of_kind.is_silent));
            }
        }
        assert_eq!(stands, [(60 * 36 + 20, false, true, false)]);
    }
}
