//! The script calls of a batch, repeated until each has an outcome or patience ends.

use super::Loader;
use super::batch::Outcome;
use super::pace::Portion;
use super::patience::Patience;
use super::refusals::Blame;
use crate::retry::Backoff;
use crate::store::{Fault, LoadCall, Verdict};
use crate::telemetry::traces::Processing;

/// Runs the calls until each has an outcome. Redis being away is not a message's fault: no attempt is spent, what has no
/// verdict yet is repeated with backoff, while there is patience. `is_new` tells of which calls no attempt was spent before.
pub(super) async fn load_patiently(
    loader: &Loader,
    calls: Vec<LoadCall<'_>>,
    is_new: impl Fn(usize) -> bool,
    spans: &Processing,
    patience: &Patience,
) -> Vec<Outcome> {
    let mut open = Open::new(calls);
    let mut backoff = Backoff::for_server();
    let mut has_waited = false;
    while !open.calls.is_empty() {
        let Ok(portion) = patience.answer(loader.pace.enter(open.sizes())).await else { break };
        let mut script = spans.script(portion.count);
        let asked = loader.store.load_within(portion.time, loader.policy, &open.calls[..portion.count]);
        let Ok(verdicts) = patience.answer(asked).await else { break };
        tell(portion, &verdicts);
        let blame = loader.blame(&verdicts, |place| is_new(open.places[place]));
        let Some(fault) = open.settle(verdicts, blame) else {
            // A batch that Redis never refused anything may hold duplicates only, which even a full Redis answers: it does
            // not show that another one's trouble is over.
            if has_waited || !loader.redis.is_away() {
                loader.redis.up();
            }
            backoff.reset();
            continue;
        };
        has_waited = true;
        script.fail(&fault);
        drop(script);
        loader.redis.away(fault);
        if patience.pause(&mut backoff).await.is_err() {
            break;
        }
    }
    open.outcomes
}

/// Tells the pace whether Redis has answered in time. That it is away otherwise says nothing about the link.
fn tell(portion: Portion<'_>, verdicts: &[Verdict]) {
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
    /// Whose fault it is if some of these calls were refused in words that we do not know. One that is refused among others that are
    /// served is at fault itself.
    fn blame(&self, verdicts: &[Verdict], is_new: impl Fn(usize) -> bool) -> Blame {
        use Verdict::{Duplicate, Failed, Loaded};
        if verdicts
            .iter()
            .any(|verdict| matches!(verdict, Loaded | Duplicate | Failed(Fault::ThisMessage(_))))
        {
            self.refusals.served();
            return Blame::Messages;
        }
        let refused =
            (0..verdicts.len()).filter(|place| matches!(verdicts[*place], Failed(Fault::Unknown(_))));
        self.refusals.refused(refused.filter(|place| is_new(*place)).count())
    }
}

/// The calls of a batch that have no verdict yet, and the outcomes of all.
struct Open<'a> {
    calls: Vec<LoadCall<'a>>,
    /// The calls' places among the outcomes.
    places: Vec<usize>,
    outcomes: Vec<Outcome>,
    /// How many calls go to Redis at once. It is halved when all of them are refused alike, so that those at fault are found.
    at_once: usize,
}

impl<'a> Open<'a> {
    fn new(calls: Vec<LoadCall<'a>>) -> Self {
        let outcomes = calls.iter().map(|_| Outcome::NotLoaded).collect();
        Self { places: (0..calls.len()).collect(), calls, outcomes, at_once: usize::MAX }
    }

    /// The sizes of the calls that may go next.
    fn sizes(&self) -> impl Iterator<Item = usize> + Clone {
        self.calls.iter().take(self.at_once).map(|call| call.event.size())
    }

    /// Takes the verdicts on the first calls. Keeps those that Redis could not serve, and gives the reason if there are any.
    fn settle(&mut self, verdicts: Vec<Verdict>, blame: Blame) -> Option<Fault> {
        let count = verdicts.len();
        let (calls, places) = (self.calls.split_off(count), self.places.split_off(count));
        let asked = std::mem::replace(&mut self.calls, calls);
        let asked_places = std::mem::replace(&mut self.places, places);
        let mut reason = None;
        for ((call, place), verdict) in asked.into_iter().zip(asked_places).zip(verdicts) {
            self.outcomes[place] = match verdict {
                Verdict::Loaded => Outcome::Loaded,
                Verdict::Duplicate => Outcome::Duplicate,
                Verdict::Failed(Fault::ThisMessage(reason)) => Outcome::Failed(reason),
                Verdict::Failed(Fault::Unknown(reason)) if blame == Blame::Messages => {
                    Outcome::Failed(reason)
                }
                Verdict::Failed(fault) => {
                    self.calls.push(call);
                    self.places.push(place);
                    reason = Some(fault);
                    continue;
                }
            };
        }
        self.at_once = match reason {
            Some(Fault::Unknown(_)) => (count / 2).max(1),
            Some(_) => self.at_once,
            None => usize::MAX,
        };
        reason
    }
}
