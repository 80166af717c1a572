//! Leaderboards and counts by hour, read from Redis at most once a second. The last ones are kept for the time that Redis is away.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::shared::Dated;
use crate::event::Hour;
use crate::store::{DeveloperScore, Fault, Store};

/// How long an answer is used again.
const FRESH: Duration = Duration::from_secs(1);
/// Hours remembered.
const HOURS_MAX: usize = 50;
/// Developers remembered of each.
pub(super) const DEVELOPERS_MAX: usize = 100;

/// The developers and the counts of an hour.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    pub(super) developers: Vec<DeveloperScore>,
    pub(super) types: BTreeMap<String, u64>,
}

/// The hours that clients asked for last.
#[derive(Default)]
pub(super) struct Boards {
    // Held while asking Redis, so that a crowd asks once; the store's own timeouts bound it.
    known: Mutex<BTreeMap<Hour, (Instant, Dated<Board>)>>,
}

impl Boards {
    /// The board of `hour`: read now, or the last one that was read.
    pub(super) async fn of(&self, hour: Hour, store: &Store, is_away: bool) -> Option<Dated<Board>> {
        let mut known = self.known.lock().await;
        let before = known.get(&hour);
        if let Some((read_at, board)) = before
            && (is_away || read_at.elapsed() < FRESH)
        {
            return Some(board.clone());
        }
        // While Redis is known to be away, nobody waits for it.
        let answer = if is_away { None } else { read(hour, store).await.ok() };
        let Some(board) = answer else { return before.map(|(_, board)| board.clone()) };
        let board = Dated::now(board);
        known.insert(hour, (Instant::now(), board.clone()));
        if known.len() > HOURS_MAX {
            let oldest = known.iter().min_by_key(|(_, (read_at, _))| *read_at).map(|(hour, _)| *hour);
            oldest.and_then(|hour| known.remove(&hour));
        }
        Some(board)
    }
}

async fn read(hour: Hour, store: &Store) -> Result<Board, Fault> {
    let limit = u32::try_from(DEVELOPERS_MAX).unwrap_or(u32::MAX);
    let developers = store.leaderboard(hour, limit).await?;
    Ok(Board { developers, types: store.hour_counts(hour).await? })
}
