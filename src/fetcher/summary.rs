//! The log of a fetcher with many sources: a line a minute in place of one a poll. Pure but for the log.
//!
//! Of a few sources, each poll has its line. Of thousands, that would be a flood. Then polls are logged at debug level and summed
//! up, and of many sources that begin to give no events within a minute, the first have a line each.

use std::time::Duration;

use tokio::time::Instant;

use super::feed::PollEnd;
use super::feeds::Forecast;
use super::report::Counts;
use super::schedule::FEW_SOURCES;
use super::trouble::News;
use crate::config::Source;

const EVERY: Duration = Duration::from_secs(60);
/// So many troubles have a line each within a minute.
const TROUBLES_MAX: usize = 10;
/// A shortage is told when so many of the events will be missed, and over when less than half of that.
const SHORT: f64 = 0.01;

/// What was not logged poll by poll since the last line.
pub(super) struct Summary {
    next_at: Instant,
    polls: usize,
    not_modified: usize,
    failed: usize,
    published: usize,
    gaps: usize,
    troubles: usize,
    troubles_untold: usize,
    is_short: bool,
}

impl Summary {
    /// The first line comes after a minute.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next_at: now + EVERY,
            polls: 0,
            not_modified: 0,
            failed: 0,
            published: 0,
            gaps: 0,
            troubles: 0,
            troubles_untold: 0,
            is_short: false,
        }
    }

    /// True if polls of so many sources are summed up.
    pub(super) fn is_for(sources: usize) -> bool {
        sources > FEW_SOURCES
    }

    /// Logs that a source's trouble has begun or is over.
    pub(super) fn tell_news(&mut self, source: &Source, news: Option<News>, sources: usize) {
        match news {
            Some(News::Trouble(line)) => {
                self.troubles += 1;
                if Self::is_for(sources) && self.troubles > TROUBLES_MAX {
                    self.troubles_untold += 1;
                    tracing::debug!(%source, "{line}");
                } else {
                    tracing::warn!(%source, "{line}");
                }
            }
            Some(News::Over(line)) => tracing::info!(%source, "{line}"),
            None => {}
        }
    }

    /// Counts a poll, and logs a line if it is time.
    pub(super) fn polled(
        &mut self,
        end: &PollEnd,
        counts: Counts,
        gaps: usize,
        sources: usize,
        forecast: Option<Forecast>,
        now: Instant,
    ) {
        self.polls += 1;
        self.not_modified += usize::from(*end == PollEnd::NotModified);
        self.failed += usize::from(end.fault().is_some());
        self.published += counts.published;
        self.gaps += gaps;
        if let Some(forecast) = forecast {
            self.tell_shortage(forecast.lost);
        }
        if now < self.next_at {
            return;
        }
        if Self::is_for(sources) {
            self.log(sources, forecast);
        }
        *self = Self { is_short: self.is_short, ..Self::new(now) };
    }

    fn log(&self, sources: usize, forecast: Option<Forecast>) {
        let Self { polls, not_modified, failed, published, gaps, troubles_untold, .. } = *self;
        let plan = forecast.map_or_else(String::new, |forecast| {
            let [counted, all] = [forecast.counted_per_hour, forecast.requests_per_hour].map(f64::round);
            format!("; planned: {all} requests an hour, of which {counted} count")
        });
        tracing::info!(
            sources,
            polls,
            not_modified,
            failed,
            published,
            gaps,
            "{sources} sources: {polls} polls, of which {not_modified} not modified and {failed} failed; {published} new events, gaps: {gaps}{plan}"
        );
        if troubles_untold > 0 {
            tracing::warn!(
                troubles_untold,
                "{troubles_untold} more sources give no events; RUST_LOG=debug names each"
            );
        }
    }

    /// Logs when the quota begins not to suffice for all events, and when it does again. `lost` is the part that will be missed.
    fn tell_shortage(&mut self, lost: f64) {
        let percent = (lost * 1000.0).round() / 10.0;
        if !self.is_short && lost > SHORT {
            self.is_short = true;
            tracing::warn!(
                percent,
                "the quota does not suffice for all sources: about {percent} % of their events will be missed, by weight; use more \
                 tokens (GITHUB_TOKENS) or fewer sources"
            );
        } else if self.is_short && lost < SHORT / 2.0 {
            self.is_short = false;
            tracing::info!("the quota suffices for all sources again");
        }
    }
}
