//! The script calls of a batch. Repeats them until each is answered for good, or until patience ends.

use std::time::Instant;

use super::Loader;
use super::batch::Disposition;
use super::pace::Portion;
use super::patience::Patience;
use super::refusals::Blame;
use super::republish::Republish;
use crate::retry::Backoff;
use crate::status::LoadOutcome;
use crate::store::{Fault, LoadCall, Verdict};
use crate::telemetry::traces::Processing;

/// A script call for one delivery of a batch.
pub(super) struct Call<'a> {
    /// The delivery's index in the batch.
    pub(super) place: usize,
    pub(super) load: LoadCall<'a>,
    /// No attempt of the event has failed before.
    pub(super) is_new: bool,
}

/// Runs the calls and returns the decision about each, by the delivery's place.
///
/// If Redis is away, that does not count as an attempt of any event: the calls are repeated with backoff while `patience` lasts.
/// Calls that are unanswered then are left out.
pub(super) async fn load_until_answered(
    loader: &Loader,
    calls: Vec<Call<'_>>,
    spans: &Processing,
    patience: &Patience,
) -> Vec<(usize, Disposition)> {
    let mut open = Open::new(calls);
    let mut backoff = Backoff::for_server();
    let (mut has_waited, mut was_old_news) = (false, false);
    while !open.calls.is_empty() {
        let Ok(portion) = patience.answer(loader.pace.enter(open.sizes())).await else { break };
        let mut script = spans.script(portion.count);
        let loads: Vec<_> = open.calls[..portion.count].iter().map(|call| &call.load).collect();
        let asked_at = Instant::now();
        let asked = loader.store.load_within(portion.time, loader.policy, &loads);
        let Ok(verdicts) = patience.answer(asked).await else { break };
        adjust_pace(portion, &verdicts);
        // Redis may have served a later request before these answers were read. Then they say nothing about Redis now, and the calls
        // are repeated once before anything is decided.
        let is_old_news = !was_old_news && loader.refusals.served_since(asked_at);
        was_old_news = is_old_news;
        let blame = loader.blame(&verdicts, &open.calls, is_old_news);
        let Some(fault) = open.settle(verdicts, blame) else {
            // A full Redis answers duplicates too. So a batch that was never refused does not show that another batch's
            // trouble is over.
            if has_waited || !loader.redis.is_away() {
                loader.redis.up();
            }
            backoff.reset();
            continue;
        };
        script.fail(&fault);
        drop(script);
        has_waited = true;
        if !(is_old_news && matches!(fault, Fault::Unknown(_))) {
            loader.redis.away(fault);
        }
        if patience.pause(&mut backoff).await.is_err() {
            break;
        }
    }
    open.decided
}

/// Tells the pace whether Redis has answered in time. If Redis is away for another reason, that says nothing about the link.
fn adjust_pace(portion: Portion<'_>, verdicts: &[Verdict]) {
    if verdicts.contains(&Verdict::Failed(Fault::NoAnswer)) {
        portion.unanswered();
    } else if !verdicts
        .iter()
        .any(|verdict| matches!(verdict, Verdict::Failed(fault) if fault.is_server_away()))
    {
        portion.answered();
    }
}

impl Loader {
    /// Whose fault it is if some of these calls were refused with an unknown error. `verdicts` are those on the first of `calls`.
    /// If Redis served another call at the same time, the message is at fault.
    fn blame(&self, verdicts: &[Verdict], calls: &[Call<'_>], is_old_news: bool) -> Blame {
        if verdicts.iter().any(shows_that_redis_serves) {
            self.refusals.served();
            return Blame::Messages;
        }
        if is_old_news {
            return Blame::Redis;
        }
        let is_new_refusal = |(verdict, call): &(&Verdict, &Call<'_>)| {
            matches!(verdict, Verdict::Failed(Fault::Unknown(_))) && call.is_new
        };
        self.refusals.refused(verdicts.iter().zip(calls).filter(is_new_refusal).count())
    }
}

/// True if this verdict shows that Redis ran the script. Each new verdict and each new fault must decide here.
fn shows_that_redis_serves(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Loaded | Verdict::Duplicate | Verdict::Failed(Fault::ThisMessage(_)) => true,
        Verdict::Failed(
            Fault::ServerAway(_)
            | Fault::NoAnswer
            | Fault::Unusable(_)
            | Fault::OtherEventLog(_)
            | Fault::Misconfigured(_)
            | Fault::ScriptMissing
            | Fault::Unknown(_),
        ) => false,
    }
}

/// The calls of a batch that have no final verdict yet, and the decisions about the others.
struct Open<'a> {
    calls: Vec<Call<'a>>,
    decided: Vec<(usize, Disposition)>,
    /// How many calls go to Redis at once. It is halved when all of them are refused alike, so that those at fault are found.
    at_once: usize,
}

impl<'a> Open<'a> {
    fn new(calls: Vec<Call<'a>>) -> Self {
        Self { decided: Vec::with_capacity(calls.len()), calls, at_once: usize::MAX }
    }

    /// The sizes of the calls that may go next.
    fn sizes(&self) -> impl Iterator<Item = usize> + Clone {
        self.calls.iter().take(self.at_once).map(|call| call.load.event.size())
    }

    /// Takes the verdicts on the first calls. Keeps the calls that Redis could not serve, and returns the reason if there are any.
    fn settle(&mut self, verdicts: Vec<Verdict>, blame: Blame) -> Option<Fault> {
        let count = verdicts.len();
        let rest = self.calls.split_off(count);
        let asked = std::mem::replace(&mut self.calls, rest);
        let mut reason = None;
        for (call, verdict) in asked.into_iter().zip(verdicts) {
            match decide(verdict, blame) {
                Ok(disposition) => self.decided.push((call.place, disposition)),
                Err(fault) => {
                    self.calls.push(call);
                    reason = Some(fault);
                }
            }
        }
        self.at_once = match reason {
            Some(Fault::Unknown(_)) => (count / 2).max(1),
            Some(_) => self.at_once,
            None => usize::MAX,
        };
        reason
    }
}

/// The decision about a delivery whose call had this verdict.
///
/// # Errors
/// [`Fault`] when the call must be repeated.
fn decide(verdict: Verdict, blame: Blame) -> Result<Disposition, Fault> {
    match verdict {
        Verdict::Loaded => Ok(Disposition::Ack(LoadOutcome::Loaded)),
        Verdict::Duplicate => Ok(Disposition::Ack(LoadOutcome::Duplicate)),
        Verdict::Failed(Fault::ThisMessage(reason)) => Ok(Disposition::Republish(Republish::Retry(reason))),
        Verdict::Failed(Fault::Unknown(reason)) if blame == Blame::Messages => {
            Ok(Disposition::Republish(Republish::Retry(reason)))
        }
        Verdict::Failed(fault) => Err(fault),
    }
}
