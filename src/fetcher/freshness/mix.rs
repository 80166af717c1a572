//! The types of the events of one kind of source, now and usually. Pure.
//!
//! For each type there are two counts that forget: over about two hours, and over about three days. A type is *thin* if three
//! things hold. It used to have a solid share. Its rate is below a tenth of its usual rate. All other events together have at least
//! half of their usual rate. So a quiet night makes no type thin, because all rates are small then. A flood of one type does not make
//! the others thin, because their rates stay. When a type ends at once, this takes about five hours to show.

use std::time::Duration;

use tokio::time::Instant;

use crate::event::{KINDS, place_of_kind};

/// How long the counts remember, in hours.
const NOW_H: f64 = 2.0;
const USUAL_H: f64 = 72.0;
/// Feeds must be known for so long, because days and nights differ.
const KNOWN_H: f64 = 24.0;
/// A solid share of all events.
const SHARE_MIN: f64 = 0.05;
/// So many events of the type should have been counted by now. Then fewer than a tenth of them are no chance (e^-18).
const EXPECTED_MIN: f64 = 30.0;
/// Thin below this part of the usual rate, and over above that one.
const THIN: f64 = 0.1;
const OVER: f64 = 0.3;
/// The other events must come at this part of their usual rate.
const OTHERS: f64 = 0.5;
/// GitHub's types, and one for all others.
const TYPES: usize = KINDS.len() + 1;

/// The types of the events of one kind of source.
pub(super) struct Mix {
    known: Option<(Instant, Instant)>,
    now: [f64; TYPES],
    usual: [f64; TYPES],
    /// The usual rate, an hour, of each type that is thin. It is kept, so that a type is not forgotten.
    thin: [Option<f64>; TYPES],
}

/// News for the log.
#[derive(Debug, PartialEq)]
pub(super) enum MixNews {
    Thin { name: &'static str, per_hour: f64, usual_per_hour: f64 },
    Over { name: &'static str },
}

impl Default for Mix {
    fn default() -> Self {
        Self { known: None, now: [0.0; TYPES], usual: [0.0; TYPES], thin: [None; TYPES] }
    }
}

impl Mix {
    /// The number of types that are thin.
    pub(super) fn thin(&self) -> usize {
        self.thin.iter().flatten().count()
    }

    /// Notes the types of the new events of a good poll at `now`.
    pub(super) fn note<'a>(&mut self, types: impl Iterator<Item = &'a str>, now: Instant) -> Vec<MixNews> {
        let (first, last) = self.known.unwrap_or((now, now));
        self.known = Some((first, now));
        decay(&mut self.now, hours(now - last), NOW_H);
        decay(&mut self.usual, hours(now - last), USUAL_H);
        for name in types {
            let place = place_of_kind(name).unwrap_or(KINDS.len());
            self.now[place] += 1.0;
            self.usual[place] += 1.0;
        }
        let known_h = hours(now - first);
        if known_h < KNOWN_H { Vec::new() } else { self.news(known_h) }
    }

    fn news(&mut self, known_h: f64) -> Vec<MixNews> {
        // A count that forgets holds the rate times this, since it began so long ago.
        let weight = |remembers_h: f64| remembers_h * (1.0 - (-known_h / remembers_h).exp());
        let now = self.now.map(|count| count / weight(NOW_H));
        let usual = self.usual.map(|count| count / weight(USUAL_H));
        let (all_now, all_usual): (f64, f64) = (now.iter().sum(), usual.iter().sum());
        let mut news = Vec::new();
        for (place, name) in KINDS.into_iter().enumerate() {
            let (rate, usual_rate) = (now[place], usual[place]);
            if let Some(before) = self.thin[place] {
                if rate > OVER * before {
                    self.thin[place] = None;
                    news.push(MixNews::Over { name });
                }
                continue;
            }
            let is_solid = usual_rate >= SHARE_MIN * all_usual && usual_rate * weight(NOW_H) >= EXPECTED_MIN;
            let others_come = all_now - rate >= OTHERS * (all_usual - usual_rate) && all_now > 0.0;
            if is_solid && others_come && rate < THIN * usual_rate {
                self.thin[place] = Some(usual_rate);
                news.push(MixNews::Thin { name, per_hour: rate, usual_per_hour: usual_rate });
            }
        }
        news
    }
}

fn hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

fn decay(counts: &mut [f64], elapsed_h: f64, remembers_h: f64) {
    let kept = (-elapsed_h / remembers_h).exp();
    counts.iter_mut().for_each(|count| *count *= kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls every six minutes for so many hours. `types` gives the types of the new events of each poll by its hour.
    fn told(
        mix: &mut Mix,
        start: Instant,
        hours: u64,
        types: impl Fn(f64) -> Vec<&'static str>,
    ) -> Vec<(f64, bool)> {
        let mut told = Vec::new();
        for poll in 0..hours * 10 {
            let hour = poll as f64 / 10.0;
            let news = mix.note(types(hour).into_iter(), start + Duration::from_secs(360 * poll));
            told.extend(news.iter().map(|news| (hour, matches!(news, MixNews::Thin { .. }))));
        }
        told
    }

    /// So many events of each type.
    fn events(pushes: usize, issues: usize) -> Vec<&'static str> {
        std::iter::repeat_n("PushEvent", pushes).chain(std::iter::repeat_n("IssuesEvent", issues)).collect()
    }

    #[test]
    fn a_type_that_all_but_goes_is_told_once_and_when_it_is_back() {
        let (mut mix, start) = (Mix::default(), Instant::now());
        let told =
            told(&mut mix, start, 120, |hour| events(20, if (48.0..96.0).contains(&hour) { 0 } else { 4 }));
        let [(began, true), (over, false)] = told[..] else { panic!("{told:?}") };
        assert!((52.0..54.0).contains(&began) && (96.5..98.0).contains(&over), "{told:?}");
        assert_eq!(mix.thin(), 0);
    }

    #[test]
    fn quiet_nights_floods_and_small_types_are_no_news() {
        let start = Instant::now();
        let is_night = |hour: f64| hour % 24.0 > 12.0;
        let nights = |hour| if is_night(hour) { events(1, 0) } else { events(20, 5) };
        assert_eq!(told(&mut Mix::default(), start, 240, nights), [], "all is quiet at night");
        let flood = |hour| events(if hour > 48.0 { 2_000 } else { 20 }, 4);
        assert_eq!(told(&mut Mix::default(), start, 96, flood), [], "others come as before");
        let small = |hour| events(100, usize::from(hour < 48.0) * 4);
        assert_eq!(told(&mut Mix::default(), start, 96, small), [], "4 %");
        let young = |hour| events(20, usize::from(hour < 12.0) * 4);
        assert_eq!(told(&mut Mix::default(), start, 23, young), [], "known for less than a day");
        let slow =
            |hour: f64| if hour.fract() < 0.05 { events(4, usize::from(hour < 48.0)) } else { Vec::new() };
        assert_eq!(told(&mut Mix::default(), start, 96, slow), [], "1 an hour");
    }
}
