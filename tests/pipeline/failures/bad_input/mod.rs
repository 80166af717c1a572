//! Bad input, row by row: each either loads exactly as it came or lands in the dead letters byte for byte, with the
//! reason; what stands around it loads.
//!
//! The numbers are those of the reliability study's list of bad inputs (its section 4). Where the study is stricter than the design
//! about ids, logins, names and years, the design decides, and the row says so.

mod bodies;
mod messages;

use std::collections::{BTreeMap, BTreeSet};

use lapin::BasicProperties;
use serde_json::value::RawValue;

use crate::support::corner::{Corner, properties};
use crate::support::dump::stream;
use crate::support::events::event;

/// One bad input and the right answer.
struct Row {
    number: u8,
    body: Vec<u8>,
    properties: BasicProperties,
    answer: Answer,
}

enum Answer {
    /// Kept for a person; the reason begins with this.
    Dead(&'static str),
    /// Loaded; the stream entry of this id has the body's fields.
    Loads { id: String },
}

/// Rows that other tests hold, by name; `none` where the design has no such case.
const ELSEWHERE: [(u8, &str); 8] = [
    (2, "a_github_that_fails_in_every_way_is_asked_again_until_it_answers"),
    (27, "a_score_that_would_not_be_exact_is_refused_and_nothing_is_half_done"),
    (29, "an_expired_hour_is_gone_whole_and_a_replay_builds_it_afresh"),
    (30, "the_same_event_twice_changes_nothing_the_second_time"),
    (31, "elements_that_rabbitmq_could_not_take_are_counted_and_left_out"),
    (38, "none: every channel that publishes asks for confirms"),
    (50, "answers_that_lead_elsewhere_or_explode_are_no_answers"),
    (51, "hints_that_make_no_sense_are_bounded"),
];

fn rows() -> Vec<Row> {
    bodies::rows().into_iter().chain(messages::rows()).collect()
}

/// A body that is no event.
fn dead(number: u8, reason: &'static str, body: impl Into<Vec<u8>>) -> Row {
    Row { number, body: body.into(), properties: properties("m"), answer: Answer::Dead(reason) }
}

/// An event, however odd.
fn loads(number: u8, id: impl ToString, body: impl Into<Vec<u8>>) -> Row {
    let answer = Answer::Loads { id: id.to_string() };
    Row { number, body: body.into(), properties: properties("m"), answer }
}

/// What a stream entry must hold, by a reading of our own: strings unquoted, the rest as the text that came.
fn fields(body: &[u8]) -> Vec<(String, String)> {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).unwrap();
    let plain = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
    fields.into_iter().map(|(name, value)| (name, plain(value.get()))).collect()
}

#[test]
fn what_is_not_an_event_lands_in_the_dead_letters_byte_for_byte_and_events_around_it_load() {
    let (corner, rows) = (Corner::new("invalid"), rows());
    let before = chrono::Utc::now();
    for (n, row) in rows.iter().enumerate() {
        corner.publish_with(&row.properties, std::slice::from_ref(&row.body));
        corner.publish(&[event(format!("around-{n}")).bytes()]);
    }
    let ended = corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);

    let lines = corner.dump();
    let is_marked = |id: &str| lines.iter().any(|line| line.starts_with(&format!("mark {id} ")));
    assert!((0..rows.len()).all(|n| is_marked(&format!("around-{n}"))), "an event around is missing");
    let entries = stream(&mut corner.redis(), &corner.namespace);
    let mut dead = corner.take_all("load.dead");
    for Row { number, body, properties, answer } in &rows {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]);
        let case = format!("row {number}: {shown}");
        match answer {
            Answer::Loads { id } => {
                assert!(is_marked(id), "{case}: not loaded; {}", ended.stderr);
                let entry = entries.iter().find(|entry| entry.contains(&("id".into(), id.clone())));
                let entry = entry.unwrap_or_else(|| panic!("{case}: not in the stream"));
                for field in fields(body) {
                    assert!(entry.contains(&field), "{case}: the field {} has changed", field.0);
                }
            }
            Answer::Dead(reason) => {
                // Batches overtake one another, so the order is not that of publishing.
                let place = dead.iter().position(|message| {
                    message.body == *body && message.properties.message_id() == properties.message_id()
                });
                let place =
                    place.unwrap_or_else(|| panic!("{case}: not kept byte for byte; {}", ended.stderr));
                let message = dead.remove(place);
                let said = message.header("x-etl-reason");
                assert!(said.starts_with(reason), "{case}: {said}");
                assert!(said.len() < 300 && !said.contains(char::is_control), "{case}: {said}");
                let first: chrono::DateTime<chrono::Utc> =
                    message.header("x-etl-first-failed-at").parse().unwrap();
                assert!(first.timestamp() >= before.timestamp() && first <= chrono::Utc::now(), "{first}");
                assert_eq!(message.header("x-etl-original-routing-key"), "PushEvent", "{case}");
                let kept = &message.properties;
                assert_eq!(kept.timestamp(), properties.timestamp(), "{case}");
                assert_eq!(*kept.delivery_mode(), Some(2), "kept on disk");
            }
        }
    }
    assert!(dead.is_empty(), "more dead letters than rows");
    assert_eq!(corner.ready("load"), 0);
}

#[test]
fn every_row_that_reaches_the_loader_or_the_fetcher_has_a_test() {
    let here = rows().into_iter().map(|row| row.number);
    let covered: BTreeSet<u8> = here.chain(ELSEWHERE.map(|(number, _)| number)).collect();
    let missing: Vec<u8> = (1..=38).chain([50, 51]).filter(|number| !covered.contains(number)).collect();
    assert!(missing.is_empty(), "no test for the rows {missing:?}");
    let sources = crate::support::sources::text_below(&["src", "tests"]);
    for (number, test) in ELSEWHERE.iter().filter(|(_, test)| !test.starts_with("none")) {
        assert!(sources.contains(&format!("fn {test}()")), "row {number}: there is no test {test}");
    }
}
