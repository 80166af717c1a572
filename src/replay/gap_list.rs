//! `replay gaps --list`: shows the gaps and their state, as a table or as JSON. It changes nothing, neither in RabbitMQ nor on disk. It
//! ends within seconds, even if GH Archive does not answer.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use futures_util::stream::{self, StreamExt as _};
use indicatif::HumanCount;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::gap_plan::{Files, OUT_OF_REACH, hours_of};
use super::gap_queue::{GapQueue, RECORDS_MAX};
use super::gap_search::Searched;
use super::gaps::Planned;
use super::say;
use super::table::{aligned, json};
use crate::config::{GapsArgs, ListFormat};
use crate::event::Hour;
use crate::gap::GapRecord;
use crate::gharchive::{Has, Mirrors};
use crate::retry::Interrupted;
use crate::terminal::Escaped;

/// How long GH Archive may take to answer for one file, and for all files.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// Requests to GH Archive at the same time.
const AT_ONCE: usize = 8;

/// Shows the gaps on record.
///
/// # Errors
/// When RabbitMQ refuses us for good, or the program is to stop.
pub(super) async fn run(
    args: &GapsArgs,
    mut queue: GapQueue,
    mirrors: &Mirrors,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let records = queue.look(RECORDS_MAX).await?;
    let now = Utc::now();
    let names: Vec<String> = mirrors.names().map(str::to_owned).collect();
    // Nothing is asked for gaps that were searched before: their records say what was found.
    let open = records.gaps.iter().filter(|gap| !gap.is_searched());
    let hours: BTreeSet<Hour> = hours_of(open).into_iter().filter(|hour| hour.end() <= now).collect();
    let (there, unknown) = look_for(hours, mirrors, shutdown).await?;
    let files = Files { there, unknown, patience: args.patience, mirrors: names, ..Files::default() };
    let plan = |gap: super::gap_plan::Gap| Planned { state: gap.state(&files, now), gap };
    let planned: Vec<Planned> = records.gaps.into_iter().map(plan).collect();
    say(&show(&planned, args.format.unwrap_or(ListFormat::Table)));
    for record in &records.out_of_reach {
        tracing::warn!("{} cannot be filled: {OUT_OF_REACH}", Escaped(&record.id()));
    }
    if records.behind > 0 {
        tracing::warn!("{} more records are not shown", HumanCount(u64::from(records.behind)));
    }
    Ok(())
}

/// The `hours` that have a file, and those for which GH Archive does not answer in time. If it is one server, no more files are asked
/// for after the first timeout: it is not reachable.
async fn look_for(
    hours: BTreeSet<Hour>,
    mirrors: &Mirrors,
    shutdown: &CancellationToken,
) -> Result<(BTreeSet<Hour>, BTreeSet<Hour>), Interrupted> {
    let (mut there, mut unknown) = (BTreeSet::new(), hours.clone());
    let ask = |hour: Hour| async move {
        let asked = mirrors.has(hour, shutdown);
        (hour, tokio::time::timeout(ANSWER_WITHIN, asked).await)
    };
    let asking = async {
        let mut answers = stream::iter(hours).map(ask).buffer_unordered(AT_ONCE);
        while let Some((hour, answer)) = answers.next().await {
            match answer {
                Ok(Ok(Has::Unknown)) => {}
                Ok(Ok(has)) => {
                    unknown.remove(&hour);
                    if has == Has::Yes {
                        there.insert(hour);
                    }
                }
                // Another mirror may have the other hours.
                _ if mirrors.are_several() => {}
                _ => break,
            }
        }
    };
    // Hours without an answer by then stay unknown.
    let _ = tokio::time::timeout(ANSWERS_WITHIN, asking).await;
    if shutdown.is_cancelled() { Err(Interrupted) } else { Ok((there, unknown)) }
}

/// A record, and the state of its gap.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    record: &'a GapRecord,
    #[serde(flatten)]
    searched: &'a Searched,
    state: String,
}

/// The text to print, in the order of the queue.
fn show(planned: &[Planned], format: ListFormat) -> String {
    let rows: Vec<Row> = planned
        .iter()
        .map(|Planned { gap, state }| Row {
            record: &gap.record,
            searched: &gap.searched,
            state: state.to_string(),
        })
        .collect();
    match format {
        ListFormat::Json => json(&rows),
        ListFormat::Table if rows.is_empty() => "no gaps\n".to_owned(),
        ListFormat::Table => {
            let head = ["SOURCE", "FROM", "TO", "SECONDS", "DETECTED", "STATE"].map(str::to_owned);
            let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
            let row = |Row { record, state, .. }: &Row| {
                [
                    Escaped(&record.source).to_string(),
                    time(record.from),
                    time(record.to),
                    HumanCount(record.seconds).to_string(),
                    time(record.detected_at),
                    state.clone(),
                ]
            };
            aligned(std::iter::once(head).chain(rows.iter().map(row)).collect())
        }
    }
}
