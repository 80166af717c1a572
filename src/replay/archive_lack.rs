//! The texts of `replay archive` about events that the archive lacks. Pure.

use indicatif::HumanCount;

use crate::config::What;
use crate::event::Hour;
use crate::lack::Lack;

/// Hours from an event's creation to its publishing, at most: GitHub shows some events late, and quiet sources are polled rarely.
const LATE_HOURS: i64 = 6;
/// GH Archive may see an event an hour later than the fetcher.
const AFTER_HOURS: i64 = 1;

/// The log line: which events are missing, and how to load them into the load queue `queue`.
pub(super) fn sentence(lack: &Lack, queue: &str) -> String {
    let Lack { from, to, events } = lack;
    let (events, hours) = (HumanCount(*events), hours(lack));
    format!(
        "the archive lacks {events} events that were published from {} to {}; `replay gharchive {hours} --queue {queue}` loads them where they are missing, `replay gharchive {hours} --queue {queue} --archive` writes them into the archive as well",
        from.format(TIME),
        to.format(TIME),
    )
}

/// The line of the summary that counts missing events.
pub(super) fn summary(lack: &Lack) -> String {
    let (events, from, to) = (HumanCount(lack.events), lack.from.format(TIME), lack.to.format(TIME));
    format!("the archive lacks {events} events published from {from} to {to}: see the log\n")
}

const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";

/// The hours of GH Archive that may hold the events.
fn hours(lack: &Lack) -> What {
    What::Hours { first: Hour::of(lack.from).plus(-LATE_HOURS), last: Hour::of(lack.to).plus(AFTER_HOURS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_reach_from_before_the_first_event_to_behind_the_last() {
        let (from, to) = ("2026-01-01T03:00:09Z".parse().unwrap(), "2026-01-01T23:01:40Z".parse().unwrap());
        let lack = Lack { from, to, events: 1234 };
        assert_eq!(hours(&lack).to_string(), "2025-12-31-21..2026-01-02-0");
        let sentence = sentence(&lack, "eu");
        assert!(
            sentence.starts_with("the archive lacks 1,234 events that were published from 2026-01-01T03:00:09Z to 2026-01-01T23:01:40Z; `replay gharchive 2025-12-31-21..2026-01-02-0 --queue eu` loads"),
            "{sentence}"
        );
        // The printed hours are valid arguments.
        assert_eq!(hours(&lack).to_string().parse(), Ok(hours(&lack)));
    }
}
