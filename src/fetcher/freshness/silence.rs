//! How long feeds show nothing new, against the longest silence before. Pure.
//!
//! A silence is long if it lasts four times as long as any before, and ten minutes at least. The longest silence, not the usual
//! interval, is the measure, because activity stops at night and at weekends. Silences count only from answer to answer: a time
//! without answers is no silence of the feed. An old record counts less and less: half after a week. Chances of a false alarm, if
//! events come at random: of a hundred intervals, the longest is about five times the mean, so one of twenty times the mean is
//! needed, which has a probability of e^-20.

use std::time::Duration;

use tokio::time::Instant;

/// How much longer than any before a silence must be, and how long at least: outages of GitHub's feeds for minutes are common.
const LONGER: f64 = 4.0;
const LONG_MIN: Duration = Duration::from_secs(600);
/// With fewer events, nothing is known of their intervals.
const EVENTS_MIN: usize = 100;
/// The longest silence counts half after this time.
const HALF_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The silences of a feed, or of several together.
#[derive(Default)]
pub(super) struct Silence {
    /// The first good poll, the last one, and the last one that brought new events.
    polls: Option<Polls>,
    events: usize,
    longest: Duration,
    is_told: bool,
}

struct Polls {
    first: Instant,
    last: Instant,
    news: Instant,
}

/// News for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SilenceNews {
    Begun { lasts: Duration, longest: Duration },
    Over { lasted: Duration },
}

impl Silence {
    /// A silence was logged, and is not over.
    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Notes a good poll at `now` with so many new events. A silence is judged if the feeds were known for `known_min` before it.
    pub(super) fn note(
        &mut self,
        events_new: usize,
        known_min: Duration,
        now: Instant,
    ) -> Option<SilenceNews> {
        let polls = self.polls.get_or_insert(Polls { first: now, last: now, news: now });
        let half_lives = (now - polls.last).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.longest = self.longest.mul_f64(0.5_f64.powf(half_lives));
        polls.last = now;
        let silence = now - polls.news;
        if events_new > 0 {
            polls.news = now;
            self.events = self.events.saturating_add(events_new);
            self.longest = self.longest.max(silence);
            return std::mem::take(&mut self.is_told).then_some(SilenceNews::Over { lasted: silence });
        }
        let is_known = self.events >= EVENTS_MIN && polls.news - polls.first >= known_min;
        let is_long = silence > self.longest.mul_f64(LONGER) && silence >= LONG_MIN;
        if self.is_told || !is_known || !is_long {
            return None;
        }
        self.is_told = true;
        Some(SilenceNews::Begun { lasts: silence, longest: self.longest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    /// Polls every minute; gives the minutes of news. `events_in` has the new events of each minute.
    fn told(
        silence: &mut Silence,
        start: Instant,
        events_in: impl Iterator<Item = usize>,
    ) -> Vec<(u64, bool)> {
        let mut told = Vec::new();
        for (minute, events) in (0..).zip(events_in) {
            match silence.note(events, HOUR, start + minutes(minute)) {
                None => {}
                Some(SilenceNews::Begun { .. }) => told.push((minute, true)),
                Some(SilenceNews::Over { .. }) => told.push((minute, false)),
            }
        }
        told
    }

    #[test]
    fn a_silence_far_longer_than_any_before_is_told_once_and_when_it_is_over() {
        let start = Instant::now();
        // Two hours of events every three minutes, an hour of nothing, events again.
        let events = (0..120).map(|minute| if minute % 3 == 0 { 5 } else { 0 });
        let events = events.chain([0; 60]).chain([1; 10]);
        // The last events were in minute 117.
        assert_eq!(told(&mut Silence::default(), start, events), [(117 + 12, true), (180, false)]);
    }

    #[test]
    fn what_was_as_silent_before_or_is_little_known_is_no_news() {
        let start = Instant::now();
        let nights = (0..60 * 24 * 6).map(|minute| usize::from(minute % (60 * 24) < 60 * 8));
        let told_of_nights = told(&mut Silence::default(), start, nights);
        assert_eq!(
            told_of_nights.len(),
            2,
            "the first night only, where an hour is enough: {told_of_nights:?}"
        );
        let short = std::iter::repeat_n(9, 59).chain([0; 500]);
        assert_eq!(told(&mut Silence::default(), start, short), [], "known for less than an hour");
        let few = (0..120).map(|minute| usize::from(minute % 2 == 0)).chain([0; 500]);
        assert_eq!(told(&mut Silence::default(), start, few), [], "60 events are too few");
    }

    #[test]
    fn a_time_without_answers_is_no_silence_and_an_old_record_is_forgotten() {
        let start = Instant::now();
        let mut silence = Silence::default();
        told(&mut silence, start, [5; 120].into_iter());
        let later = start + 10 * HOUR;
        assert_eq!(silence.note(7, HOUR, later), None, "GitHub was away");
        assert!(silence.longest >= 8 * HOUR);
        let week = 7 * 24 * HOUR;
        silence.note(1, HOUR, later + minutes(1));
        assert!(
            silence.note(0, HOUR, later + week).is_none_or(|news| matches!(news, SilenceNews::Begun { .. }))
        );
        assert!(silence.longest <= 5 * HOUR, "{:?}", silence.longest);
    }
}
