//! Gaps and what they wait for, as a table or as JSON.

use chrono::SecondsFormat;
use serde::Serialize;

use super::gaps::Planned;
use super::table::{aligned, json};
use super::tally::thousands;
use crate::config::ListFormat;
use crate::gap::GapRecord;
use crate::terminal::Escaped;

/// A record with what can be done about it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    record: &'a GapRecord,
    state: String,
}

/// What to print, in the order of the queue: the oldest first.
pub(super) fn show(planned: &[Planned], format: ListFormat) -> String {
    let rows: Vec<Row> =
        planned.iter().map(|one| Row { record: &one.gap.record, state: one.standing.to_string() }).collect();
    match format {
        ListFormat::Json => json(&rows),
        ListFormat::Table if rows.is_empty() => "no gaps\n".to_owned(),
        ListFormat::Table => {
            let head = ["SOURCE", "FROM", "TO", "SECONDS", "DETECTED", "STATE"].map(str::to_owned);
            let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
            let row = |Row { record, state }: &Row| {
                [
                    Escaped(&record.source).to_string(),
                    time(record.from),
                    time(record.to),
                    thousands(record.seconds),
                    time(record.detected_at),
                    state.clone(),
                ]
            };
            aligned(std::iter::once(head).chain(rows.iter().map(row)).collect())
        }
    }
}
