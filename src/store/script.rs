//! Calls `lua/load_event.lua`: one call per event, many calls in one round trip.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use redis::{Cmd, Pipeline, RedisResult, Value};

use super::connection::{ANSWER_TIMEOUT, Connection};
use super::{Fault, Keys, Store};
use crate::config::{EventLog, Retention};
use crate::event::Event;

/// The script. It is embedded, so that binary and script have the same version.
pub(super) const SCRIPT: &str = include_str!("../../lua/load_event.lua");

/// Arguments of a call beside the event's fields.
const FIXED_ARGS: usize = 16;
/// About their bytes beside those of names and texts: numbers, a time, a type.
const FIXED_ARGS_BYTES: usize = 128;

/// Settings that are the same for every event of a loader.
#[derive(Clone, Copy, Debug)]
pub struct LoadPolicy {
    /// Events the stream keeps, about; 0 keeps all.
    pub stream_maxlen: u64,
    /// How long an hour lives after its first load.
    pub retention: Retention,
}

/// An event to load.
#[derive(Debug)]
pub struct LoadCall<'a> {
    /// The event.
    pub event: &'a Event<'a>,
    /// Who scores for it, if anybody.
    pub score: Option<Score<'a>>,
}

/// Points for a developer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score<'a> {
    /// Whose.
    pub login: std::borrow::Cow<'a, str>,
    /// How many; more than 0.
    pub weight: u32,
}

/// The result of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The event is loaded now.
    Loaded,
    /// It was loaded before; nothing changed.
    Duplicate,
    /// Nothing changed, for this reason.
    Failed(Fault),
}

impl Store {
    /// Runs the script for each call, all in one round trip. Gives the verdicts in order.
    ///
    /// A call that failed changed nothing. A call that timed out may have run: repeating it is harmless. A call with
    /// [`Fault::Unknown`] failed twice, and Redis took a probe in between.
    pub async fn load(&self, policy: LoadPolicy, calls: &[LoadCall<'_>]) -> Vec<Verdict> {
        self.load_within(ANSWER_TIMEOUT, policy, &calls.iter().collect::<Vec<_>>()).await
    }

    /// The same with another time limit for the answer.
    pub async fn load_within(
        &self,
        time: Duration,
        policy: LoadPolicy,
        calls: &[&LoadCall<'_>],
    ) -> Vec<Verdict> {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(fault) => return vec![Verdict::Failed(fault); calls.len()],
        };
        connection.multiplexed.set_response_timeout(time);
        let mut verdicts = run(&mut connection, &self.keys, self.event_log(), policy, calls).await;
        if verdicts.iter().any(is_missing) {
            let ready = connection.load_script().await.map_err(Fault::of_server);
            self.repeat(ready, &mut connection, policy, calls, &mut verdicts, is_missing).await;
        }
        if verdicts.iter().any(is_unknown) {
            let ready = self.probe().await;
            self.repeat(ready, &mut connection, policy, calls, &mut verdicts, is_unknown).await;
        }
        let away = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Failed(fault) if fault.is_server_away() => Some(fault),
            _ => None,
        });
        if let Some(fault) = away {
            self.forget_after(fault, &connection).await;
        }
        verdicts
    }

    /// Repeats the calls whose verdict is `to_repeat`. If Redis is not `ready` for that, they get its fault as their verdict.
    async fn repeat(
        &self,
        ready: Result<(), Fault>,
        connection: &mut Connection,
        policy: LoadPolicy,
        calls: &[&LoadCall<'_>],
        verdicts: &mut [Verdict],
        to_repeat: fn(&Verdict) -> bool,
    ) {
        let places: Vec<usize> = (0..calls.len()).filter(|place| to_repeat(&verdicts[*place])).collect();
        if let Err(fault) = ready {
            places.into_iter().for_each(|place| verdicts[place] = Verdict::Failed(fault.clone()));
            return;
        }
        let again: Vec<_> = places.iter().map(|place| calls[*place]).collect();
        let repeated = run(connection, &self.keys, self.event_log(), policy, &again).await;
        for (place, verdict) in places.into_iter().zip(repeated) {
            verdicts[place] = verdict;
        }
    }
}

fn is_missing(verdict: &Verdict) -> bool {
    *verdict == Verdict::Failed(Fault::ScriptMissing)
}

fn is_unknown(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Failed(Fault::Unknown(_)))
}

async fn run(
    connection: &mut Connection,
    keys: &Keys,
    event_log: EventLog,
    policy: LoadPolicy,
    calls: &[&LoadCall<'_>],
) -> Vec<Verdict> {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut pipeline = Pipeline::with_capacity(calls.len());
    for call in calls {
        add_call(&mut pipeline, &connection.script_sha, keys, event_log, policy, &now, call);
    }
    // Each call gets its own verdict. Without this, one error would hide all other answers.
    pipeline.ignore_errors();
    let replies: RedisResult<Vec<RedisResult<Value>>> =
        pipeline.query_async(&mut connection.multiplexed).await;
    match replies {
        Ok(replies) if replies.len() == calls.len() => replies.into_iter().map(verdict).collect(),
        Ok(replies) => {
            let fault = Fault::ServerAway(format!("{} answers to {} calls", replies.len(), calls.len()));
            vec![Verdict::Failed(fault); calls.len()]
        }
        Err(error) => vec![Verdict::Failed(Fault::from_redis(&error)); calls.len()],
    }
}

/// Adds one EVALSHA, with KEYS and ARGV in the order that the script's header gives.
fn add_call(
    pipeline: &mut Pipeline,
    script_sha: &str,
    keys: &Keys,
    event_log: EventLog,
    policy: LoadPolicy,
    now: &str,
    call: &LoadCall<'_>,
) {
    let event = call.event;
    let hour = event.hour();
    let (login, weight) = call.score.as_ref().map_or(("", 0), |score| (score.login.as_ref(), score.weight));
    let retention_ms = match policy.retention {
        Retention::Forever => 0,
        Retention::For(duration) => u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    };
    let (log, member, own_mark) = match event_log {
        EventLog::PerEvent => {
            (keys.mark(&event.id), &event.created_at, Some(keys.own_mark(&event.id, &event.created_at)))
        }
        EventLog::PerSecond => (keys.second(&event.created_at), &event.id, None),
    };
    let names =
        [log, keys.stream(), keys.scores(hour), keys.counts(hour), keys.first_inserted_at(), keys.hours()];
    let fields = event.flattened();
    // Sized at once: growing from nothing to an event's size costs eight reallocations, for every event.
    let names_bytes: usize = names.iter().chain(&own_mark).map(String::len).sum();
    let fixed_bytes = names_bytes + script_sha.len() + login.len() + now.len() + FIXED_ARGS_BYTES;
    let mut command = Cmd::with_capacity(2 * fields.len() + FIXED_ARGS, event.size() + fixed_bytes);
    command.arg("EVALSHA").arg(script_sha).arg(names.len() + usize::from(own_mark.is_some()));
    for name in names.iter().chain(&own_mark) {
        command.arg(name);
    }
    command.arg(member.as_ref()).arg(event.kind.as_ref()).arg(now);
    command.arg(policy.stream_maxlen).arg(retention_ms).arg(login).arg(weight);
    for (name, value) in fields {
        command.arg(name).arg(value.as_ref());
    }
    pipeline.add_command(command);
}

/// The verdict for a return value or error of the script.
fn verdict(reply: RedisResult<Value>) -> Verdict {
    match reply {
        Ok(Value::Int(1)) => Verdict::Loaded,
        Ok(Value::Int(0)) => Verdict::Duplicate,
        Ok(Value::BulkString(text)) if text.starts_with(b"reject:") => {
            let reason = String::from_utf8_lossy(&text["reject:".len()..]).into_owned();
            Verdict::Failed(Fault::ThisMessage(reason))
        }
        Ok(other) => Verdict::Failed(Fault::Misconfigured(format!("the script answered {other:?}"))),
        Err(error) => Verdict::Failed(Fault::from_redis(&error)),
    }
}
