//! Feeds of events: an id and a second each, in the order of creation.

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

/// An event as far as the event log knows it.
pub struct Entry {
    pub id: u64,
    pub created_at: DateTime<Utc>,
}

/// A feed with a name.
pub struct Feed {
    pub name: &'static str,
    pub entries: Box<dyn Iterator<Item = Entry>>,
}

/// GitHub's ids at the end of 2025; about one in seven of the numbers is one of the public feed's.
const FIRST_ID: u64 = 6_000_000_000;
const ID_STEP_MAX: u64 = 13;
const DAY_S: u32 = 86_400;

/// A day, in seconds since its start.
fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_500)
}

/// A day of the whole feed with `count` events: fewer by night, and a burst of 600 to 1,200 events in one of 500 seconds.
pub fn whole(count: u64) -> Feed {
    let mean = count as f64 / f64::from(DAY_S);
    per_second("the whole feed", move |second, random| {
        if random.random_ratio(1, 500) {
            return random.random_range(600..=1200);
        }
        let of_day = f64::from(second) / f64::from(DAY_S) * std::f64::consts::TAU;
        let expected = (mean - 1.8) * (1.0 - 0.35 * of_day.cos());
        poisson(expected.max(0.1), random)
    })
}

/// A day of `/events`, polled once a minute: of each minute the newest 300 events, which are those of its last seconds.
pub fn polled() -> Feed {
    let mut left = 0;
    per_second("`/events`, polled once a minute", move |second, random| {
        // From the 55th second of a minute on, as many as there are, until the poll is full.
        match second % 60 {
            54 => left = 300,
            55..=59 => {}
            _ => return 0,
        }
        let seen = poisson(58.0, random).min(left);
        left -= seen;
        if second % 60 == 59 { seen + left } else { seen }
    })
}

/// A day of events of one busy repository, or of a small organisation: one event in five seconds.
pub fn repository() -> Feed {
    per_second("one busy repository, 0.2 a second", |_, random| poisson(0.2, random))
}

/// A day of 200,000 events, as in January 2015.
pub fn day_of_2015() -> Feed {
    per_second("2.3 a second, as in January 2015", |_, random| poisson(2.3, random))
}

/// A day of a feed that has so many events in each second.
fn per_second(
    name: &'static str,
    mut count: impl FnMut(u32, &mut Xoshiro256PlusPlus) -> u64 + 'static,
) -> Feed {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut ids = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut id = FIRST_ID;
    let entries = (0..DAY_S).flat_map(move |second| {
        let created_at = start() + TimeDelta::seconds(second.into());
        let entries: Vec<Entry> = (0..count(second, &mut random))
            .map(|_| {
                id += ids.random_range(1..=ID_STEP_MAX);
                Entry { id, created_at }
            })
            .collect();
        entries
    });
    Feed { name, entries: Box::new(entries) }
}

/// A number with this mean, as independent events in a second have it (Knuth's method).
fn poisson(mean: f64, random: &mut Xoshiro256PlusPlus) -> u64 {
    let (limit, mut product, mut count) = ((-mean).exp(), 1.0, 0);
    loop {
        product *= random.random::<f64>();
        if product <= limit {
            return count;
        }
        count += 1;
    }
}
