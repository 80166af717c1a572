//! The rate of a source: events an hour, learned from when its own events were created. Pure.
//!
//! Activity comes in bursts, so one average does not do. Each event is counted on four time scales, from a minute to a day. On
//! each scale an event counts for `1 / scale` an hour at first, and less the older it is (`exp(-age / scale)`). The rate is the
//! largest of the four. So a burst raises the rate at once, and after the burst the rate falls slowly. Ages count, so the first
//! page of a source gives a good estimate: its events of months ago add nothing.

use serde::{Deserialize, Serialize};

/// The time scales, in hours: 1 min, 10 min, 2 h, 24 h.
const SCALES_H: [f64; 4] = [1.0 / 60.0, 1.0 / 6.0, 2.0, 24.0];
/// No source is taken for quieter: its next event comes some day.
pub(super) const RATE_MIN: f64 = 0.01;
/// A saved rate above this makes no sense: GitHub's whole feed has 300,000 an hour.
const RATE_MAX: f64 = 1e8;

/// Events an hour on each time scale, as of the last poll. Between polls it stays, because nothing is known then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::fetcher) struct Rate([f32; 4]);

impl Rate {
    /// Learns from a poll `elapsed_h` hours after the one before it. `ages_h` are the ages of its new events, in hours.
    ///
    /// `elapsed_h` is None for the first poll of a source. Its events may be of any age. Later ones happened since the poll
    /// before, whatever their times say: recorded events have old ones.
    pub(in crate::fetcher) fn learn(&mut self, elapsed_h: Option<f64>, ages_h: impl Iterator<Item = f64>) {
        let elapsed_h = elapsed_h.map(|elapsed_h| elapsed_h.max(0.0));
        let mut rates = self.0.map(f64::from);
        if let Some(elapsed_h) = elapsed_h {
            for (rate, scale_h) in rates.iter_mut().zip(SCALES_H) {
                *rate *= (-elapsed_h / scale_h).exp();
            }
        }
        for age_h in ages_h {
            let age_h = age_h.clamp(0.0, elapsed_h.unwrap_or(f64::MAX));
            for (rate, scale_h) in rates.iter_mut().zip(SCALES_H) {
                *rate += (-age_h / scale_h).exp() / scale_h;
            }
        }
        self.0 = rates.map(significant);
    }

    /// Events an hour. It rather overestimates: a rate that rises is seen at once.
    pub(in crate::fetcher) fn per_hour(self) -> f64 {
        self.0.into_iter().map(f64::from).fold(RATE_MIN, f64::max)
    }

    /// Events an hour on the longest scale: the average of about a day.
    pub(in crate::fetcher) fn per_hour_of_a_day(self) -> f64 {
        f64::from(self.0[3]).max(RATE_MIN)
    }

    /// False for a saved rate that makes no sense.
    pub(in crate::fetcher) fn is_sound(self) -> bool {
        self.0.iter().all(|rate| (0.0..=RATE_MAX).contains(&f64::from(*rate)))
    }
}

/// Three digits: more are not known, and thousands of rates are saved together.
#[expect(clippy::cast_possible_truncation, reason = "three digits are kept")]
fn significant(rate: f64) -> f32 {
    if rate < 0.001 {
        return 0.0;
    }
    let unit = 10_f64.powf(rate.log10().floor() - 2.0);
    ((rate / unit).round() * unit) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events at an even pace, one every `every_h`, over the last `hours`.
    fn even(every_h: f64, hours: f64) -> impl Iterator<Item = f64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
        let count = (hours / every_h) as u32;
        (0..count).map(move |n| (f64::from(n) + 0.5) * every_h)
    }

    fn is_near(rate: f64, expected: f64) -> bool {
        (rate / expected - 1.0).abs() < 0.1
    }

    #[test]
    fn the_first_page_gives_the_rate_at_once() {
        let mut busy = Rate::default();
        busy.learn(None, even(0.01, 1.0));
        assert!((90.0..150.0).contains(&busy.per_hour()), "{}", busy.per_hour());
        let mut quiet = Rate::default();
        quiet.learn(None, even(24.0 * 7.0, 24.0 * 7.0 * 100.0));
        assert!(quiet.per_hour() < 0.05, "an event a week: {}", quiet.per_hour());
        let mut bygone = Rate::default();
        bygone.learn(None, (0..300).map(|n| 24.0 * 365.0 * 10.0 + f64::from(n) * 0.001));
        assert_eq!(bygone.per_hour(), RATE_MIN, "many, ten years ago");
    }

    #[test]
    fn polls_count_what_came_between_them() {
        let mut rate = Rate::default();
        rate.learn(None, even(0.1, 240.0));
        for _ in 0..48 {
            rate.learn(Some(0.5), even(0.1, 0.5));
        }
        assert!(is_near(rate.per_hour_of_a_day(), 10.0), "{}", rate.per_hour_of_a_day());
    }

    #[test]
    fn a_burst_raises_it_at_once_and_it_falls_slowly() {
        let mut rate = Rate::default();
        rate.learn(None, std::iter::empty());
        rate.learn(Some(1.0), even(1.0 / 3600.0, 0.02));
        let high = rate.per_hour();
        assert!(high > 2000.0, "72 events in the last 72 s are 3,600 an hour: {high}");
        let mut fallen = vec![high];
        for _ in 0..12 {
            rate.learn(Some(0.25), std::iter::empty());
            fallen.push(rate.per_hour());
        }
        assert!(fallen.is_sorted_by(|before, after| before >= after), "{fallen:?}");
        assert!(fallen[4] > 20.0 && fallen[12] < 12.0, "{fallen:?}");
    }

    #[test]
    fn an_event_after_silence_wakes_it_and_one_that_is_old_hardly_does() {
        let woken = |age_h: f64| {
            let mut rate = Rate::default();
            rate.learn(None, std::iter::empty());
            rate.learn(Some(1.0), [age_h].into_iter());
            rate.per_hour()
        };
        assert!(woken(0.001) > 50.0 && woken(0.9) < 0.5, "{} {}", woken(0.001), woken(0.9));
        assert_eq!(woken(1e6), woken(1.0), "it came since the poll before, whatever its time says");
    }

    #[test]
    fn it_is_saved_in_a_few_characters() {
        let mut rate = Rate::default();
        rate.learn(None, even(0.001, 1.0));
        let json = serde_json::to_string(&rate).unwrap();
        assert!(json.len() < 32, "{json}");
        assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
        assert!(rate.is_sound());
        for bad in ["[-1,0,0,0]", "[1e30,0,0,0]"] {
            assert!(!serde_json::from_str::<Rate>(bad).unwrap().is_sound(), "{bad}");
        }
    }
}
