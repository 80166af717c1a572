//! Answers that end with older events than their feed has shown before. Pure.
//!
//! A single old answer is usual: GitHub's servers do not all know the newest events at the same time, and events vanish when a
//! repository becomes private. Three in a row are suspect. Then another token asks:
//!
//! - If its answer is not old, the old ones were those of the first token.
//! - If its answer is old, too, the newest events have vanished from the feed. What it shows now counts as its newest.
//!
//! Without another token, the feed is stale until it shows newer events, or until its answers have ended with the same event for a
//! day. Then the newer ones have vanished, too.

use chrono::{DateTime, TimeDelta, Utc};

use crate::github::TokenNumber;

/// An answer is old if its newest event is older than the newest known one by more than this.
const OLD_MIN: TimeDelta = TimeDelta::minutes(5);
/// So many old answers in a row are suspect.
const OLD_IN_A_ROW: u32 = 3;
/// Without another token, events have vanished if the answers end with the same older event for so long. Until then each poll costs
/// a request, because no ETag is kept.
const VANISHED_AFTER: TimeDelta = TimeDelta::days(1);
/// Clocks differ. A newest event from further ahead is not taken for one.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);

/// The order of a feed's answers.
#[derive(Default)]
pub(in crate::fetcher) struct Order {
    newest: Option<DateTime<Utc>>,
    old_in_a_row: u32,
    /// The token that got the old answers.
    suspect: Option<TokenNumber>,
    /// The event with which the old answers end, and since when.
    ends_with: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::fetcher) enum OrderNews {
    /// It is as new as it should be.
    Fresh,
    /// It is fresh, after old ones that the same token got.
    FreshAgain,
    /// It is old, which may pass.
    Old,
    /// It is old once too often, so another token should ask. `behind` is by how much.
    Suspect { behind: TimeDelta },
    /// It is fresh, and this other token got the old ones.
    OldToken(TokenNumber),
    /// It is as old for another token, so the newer events have vanished.
    Vanished,
    /// It has been the same for a day, and no other token has asked, so the newer events have vanished.
    VanishedLongAgo,
}

impl Order {
    /// The feed shows old events only.
    pub(super) fn is_told(&self) -> bool {
        self.suspect.is_some()
    }

    /// The last answer was old. Its ETag must not be kept: it would bring an answer 304, which hides that.
    pub(in crate::fetcher) fn is_behind(&self) -> bool {
        self.old_in_a_row > 0
    }

    /// Notes an answer to `token` whose newest event was created at `newest`.
    pub(in crate::fetcher) fn note(
        &mut self,
        newest: DateTime<Utc>,
        token: TokenNumber,
        now: DateTime<Utc>,
    ) -> OrderNews {
        let known = self.newest.unwrap_or(newest);
        if newest >= known - OLD_MIN {
            self.newest = Some(if newest > now + AHEAD_MAX { known.min(now) } else { known.max(newest) });
            (self.old_in_a_row, self.ends_with) = (0, None);
            return match self.suspect.take() {
                Some(suspect) if suspect != token => OrderNews::OldToken(suspect),
                Some(_) => OrderNews::FreshAgain,
                None => OrderNews::Fresh,
            };
        }
        self.old_in_a_row = self.old_in_a_row.saturating_add(1);
        let since = self.ends_with.filter(|(event, _)| *event == newest).map_or(now, |(_, since)| since);
        self.ends_with = Some((newest, since));
        match self.suspect {
            Some(suspect) if suspect != token => {
                *self = Self { newest: Some(newest), ..Self::default() };
                OrderNews::Vanished
            }
            Some(_) if now - since >= VANISHED_AFTER => {
                *self = Self { newest: Some(newest), ..Self::default() };
                OrderNews::VanishedLongAgo
            }
            None if self.old_in_a_row >= OLD_IN_A_ROW => {
                self.suspect = Some(token);
                OrderNews::Suspect { behind: known - newest }
            }
            _ => OrderNews::Old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes answers: the minute of the newest event, and the token.
    fn note(order: &mut Order, answers: &[(i64, usize)]) -> Vec<OrderNews> {
        let at = |minute| DateTime::from_timestamp(1_767_268_800 + 60 * minute, 0).unwrap();
        let note =
            |(minute, token): &(i64, usize)| order.note(at(*minute), TokenNumber::at(*token), at(1000));
        answers.iter().map(note).collect()
    }

    use OrderNews::{Fresh, FreshAgain, Old, OldToken, Vanished};

    fn suspect(behind_min: i64) -> OrderNews {
        OrderNews::Suspect { behind: TimeDelta::minutes(behind_min) }
    }

    #[test]
    fn three_old_answers_in_a_row_are_suspect_and_the_next_token_says_whose_fault_it_is() {
        let mut order = Order::default();
        let answers = [(100, 0), (200, 0), (195, 0), (194, 0), (100, 0), (200, 0), (100, 0), (100, 0)];
        assert_eq!(note(&mut order, &answers), [Fresh, Fresh, Fresh, Old, Old, Fresh, Old, Old]);
        assert_eq!(note(&mut order, &[(140, 0), (140, 0)]), [suspect(60), Old]);
        assert!(order.is_told());
        assert_eq!(note(&mut order, &[(201, 1), (202, 1)]), [OldToken(TokenNumber::at(0)), Fresh]);
        assert!(!order.is_told());
        assert_eq!(
            note(&mut order, &[(100, 1), (100, 1), (100, 1), (100, 0)]),
            [Old, Old, suspect(102), Vanished]
        );
        assert_eq!(note(&mut order, &[(100, 0), (101, 1)]), [Fresh, Fresh], "what is left is its newest");
    }

    #[test]
    fn without_another_token_it_is_stale_until_newer_events_come() {
        let mut order = Order::default();
        let answers = [(100, 0), (1, 0), (1, 0), (1, 0), (1, 0), (99, 0)];
        assert_eq!(note(&mut order, &answers), [Fresh, Old, Old, suspect(99), Old, FreshAgain]);
        assert!(!order.is_told());
    }

    #[test]
    fn without_another_token_events_have_vanished_after_a_day_of_the_same_answer() {
        let (start, one) = (DateTime::from_timestamp(1_767_268_800, 0).unwrap(), TokenNumber::default());
        let mut order = Order::default();
        order.note(start, one, start);
        // After ten hours the answers end with another event, which is old, too.
        let mut note = |minute: i64| {
            let newest = start - TimeDelta::hours(if minute < 10 * 60 { 9 } else { 8 });
            order.note(newest, one, start + TimeDelta::minutes(minute))
        };
        let news: Vec<_> = (1..40 * 60).map(|minute| (minute, note(minute))).collect();
        let told: Vec<_> = news.into_iter().filter(|(_, news)| *news != Old).collect();
        assert_eq!(told[..2], [(3, suspect(9 * 60)), (34 * 60, OrderNews::VanishedLongAgo)]);
        assert!(told[2..].iter().all(|(_, news)| *news == Fresh));
        assert!(!order.is_told() && !order.is_behind());
    }

    #[test]
    fn an_event_from_the_future_makes_no_answer_old() {
        let answers = [(100, 0), (2000, 0), (101, 0), (102, 0), (103, 0)];
        assert_eq!(note(&mut Order::default(), &answers), [Fresh, Fresh, Fresh, Fresh, Fresh]);
    }
}
