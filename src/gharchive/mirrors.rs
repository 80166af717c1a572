//! One or several mirrors, which are asked side by side. One that does not answer holds up the others only for a while.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::download::FetchError;
use super::mirror::{Fetched, Mirror};
use crate::config::{MirrorArgs, Tls};
use crate::event::Hour;
use crate::health::Health;

/// From a mirror that answers, but slowly, an hour waits for this many times the patience.
const SLOW_FACTOR: u32 = 10;
/// How long an hour waits for a mirror that an hour before was not waited for any more. Enough for one request.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// The mirrors of one replay. Cheap to clone.
#[derive(Clone)]
pub struct Mirrors {
    /// At least one.
    all: Arc<[Mirror]>,
    patience: Duration,
}

/// Whether an hour has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    Yes,
    No,
    /// No mirror that answered has it, and not every mirror answered.
    Unknown,
}

impl Mirrors {
    /// The mirrors that `args` names; none has been asked anything yet.
    ///
    /// # Errors
    /// [`UsageError`](crate::config::UsageError) for a wrong address, and when there is no CA to trust.
    pub fn new(args: &MirrorArgs, tls: &Tls, health: &Health) -> anyhow::Result<Self> {
        let bases = args.base_urls()?;
        let is_alone = bases.len() == 1;
        let all: Result<Arc<[Mirror]>, _> =
            bases.iter().map(|base| Mirror::new(base, is_alone, tls, health)).collect();
        Ok(Self { all: all?, patience: args.mirror_patience })
    }

    /// The names of the mirrors, in their order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.all.iter().map(Mirror::name)
    }

    /// True if there is more than one.
    pub fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Fetches the hour's file from each mirror, side by side, and gives the outcomes in the order of the mirrors. If a mirror has
    /// answered, another one that does not is waited for only for a while: its outcome is [`Fetched::Away`]. If none answers, they are
    /// asked without end, as one mirror alone is.
    ///
    /// # Errors
    /// [`FetchError`] when the program is to stop, or a file cannot be written.
    pub async fn fetch(
        &self,
        hour: Hour,
        folder: &Path,
        shutdown: &CancellationToken,
    ) -> Result<Vec<Fetched>, FetchError> {
        let fetch = |mirror| async move { Mirror::fetch(mirror, hour, folder, shutdown).await };
        let outcomes = self.ask(|_| true, None, fetch, |_| false).await?;
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Fetched::Away)).collect())
    }

    /// Fetches the hour's file from the mirrors that are `wanted`, by their number; the outcome of the others is [`Fetched::Away`].
    /// None is waited for without end.
    ///
    /// # Errors
    /// [`FetchError`] when the program is to stop, or a file cannot be written.
    pub async fn fetch_some(
        &self,
        wanted: impl Fn(usize) -> bool,
        hour: Hour,
        folder: &Path,
        shutdown: &CancellationToken,
    ) -> Result<Vec<Fetched>, FetchError> {
        let fetch = |mirror| async move { Mirror::fetch(mirror, hour, folder, shutdown).await };
        let outcomes = self.ask(wanted, Some(Instant::now()), fetch, |_| false).await?;
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Fetched::Away)).collect())
    }

    /// Gives every mirror the whole patience again.
    pub fn hope_again(&self) {
        self.all.iter().for_each(Mirror::hope_again);
    }

    /// Whether one of the mirrors has the hour's file. Mirrors that do not answer are waited for as in [`Self::fetch`].
    ///
    /// # Errors
    /// [`FetchError::Interrupted`] when the program is to stop.
    pub async fn has(&self, hour: Hour, shutdown: &CancellationToken) -> Result<Has, FetchError> {
        let has = |mirror| async move { Mirror::has(mirror, hour, shutdown).await };
        let outcomes = self.ask(|_| true, None, has, |is_there| *is_there).await?;
        Ok(match (outcomes.contains(&Some(true)), outcomes.contains(&None)) {
            (true, _) => Has::Yes,
            (false, true) => Has::Unknown,
            (false, false) => Has::No,
        })
    }

    /// Which of the mirrors that are `wanted`, by their number, have the hour's file. No answer of the others, and of those that do
    /// not answer in time. None is waited for without end.
    ///
    /// # Errors
    /// [`FetchError::Interrupted`] when the program is to stop.
    pub async fn which_have(
        &self,
        wanted: impl Fn(usize) -> bool,
        hour: Hour,
        shutdown: &CancellationToken,
    ) -> Result<Vec<Option<bool>>, FetchError> {
        let has = |mirror| async move { Mirror::has(mirror, hour, shutdown).await };
        self.ask(wanted, Some(Instant::now()), has, |_| false).await
    }

    /// Asks the mirrors that are `wanted`, and gives their answers in their order: none of those that are not waited for any more, or
    /// not needed, since another answer is `enough`. Their time counts from `since`, or from the first answer.
    async fn ask<'a, T, A: Future<Output = Result<T, FetchError>>>(
        &'a self,
        wanted: impl Fn(usize) -> bool,
        mut since: Option<Instant>,
        ask: impl Fn(&'a Mirror) -> A,
        enough: impl Fn(&T) -> bool,
    ) -> Result<Vec<Option<T>>, FetchError> {
        let ask = &ask;
        let is_asked: Vec<bool> = (0..self.all.len()).map(wanted).collect();
        let mut asking: FuturesUnordered<_> = (0..self.all.len())
            .filter(|place| is_asked[*place])
            .map(|place| async move { (place, ask(&self.all[place]).await) })
            .collect();
        let mut answers: Vec<Option<T>> = self.all.iter().map(|_| None).collect();
        loop {
            let silent: Vec<&Mirror> = (0..self.all.len())
                .filter(|place| is_asked[*place] && answers[*place].is_none())
                .map(|place| &self.all[place])
                .collect();
            let next = match since.and_then(|since| self.latest_deadline(&silent, since)) {
                Some(deadline) if deadline <= Instant::now() => {
                    silent.into_iter().for_each(Mirror::give_up);
                    break;
                }
                Some(deadline) => match timeout_at(deadline, asking.next()).await {
                    Ok(next) => next,
                    // Bytes that came meanwhile move the deadline.
                    Err(_) => continue,
                },
                None => asking.next().await,
            };
            let Some((place, answer)) = next else { break };
            let answer = answers[place].insert(answer?);
            if enough(answer) {
                break;
            }
            since.get_or_insert_with(Instant::now);
        }
        Ok(answers)
    }

    /// Until when the `silent` mirrors are waited for, by the one that is waited for longest.
    fn latest_deadline(&self, silent: &[&Mirror], since: Instant) -> Option<Instant> {
        silent.iter().map(|mirror| self.deadline(mirror, since)).max()
    }

    fn deadline(&self, mirror: &Mirror, since: Instant) -> Instant {
        let patience = if mirror.is_given_up() { self.patience.min(PROBE_MAX) } else { self.patience };
        let heard = mirror.heard().map_or(since, |heard| heard.max(since));
        (heard + patience).min(since + self.patience.saturating_mul(SLOW_FACTOR))
    }
}
