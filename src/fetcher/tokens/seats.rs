//! The seats of sources at tokens. Pure.

use std::collections::HashMap;

use crate::config::Source;
use crate::github::TokenNumber;

/// What a source costs until it is known.
const COST_FIRST: f64 = 1.0;
/// A source moves only if its token has still so many times the burden of the other one afterwards. Costs change all the time, and
/// a move costs an answer 200.
const BURDEN_DIFFERS_MIN: f64 = 1.25;

/// Which source sits where, and what each token has to do.
pub(super) struct Seats {
    seats: HashMap<Source, Seat>,
    loads: Vec<Load>,
}

struct Seat {
    token: TokenNumber,
    cost: f64,
}

#[derive(Clone, Default)]
struct Load {
    sources: usize,
    cost: f64,
}

impl Seats {
    /// No seats yet, for so many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        Self { seats: HashMap::new(), loads: vec![Load::default(); tokens] }
    }

    /// Where a source sits.
    pub(super) fn of(&self, source: &Source) -> Option<TokenNumber> {
        self.seats.get(source).map(|seat| seat.token)
    }

    /// Gives a source this seat in place of its own.
    pub(super) fn put(&mut self, source: &Source, token: TokenNumber) {
        if self.of(source) == Some(token) {
            return;
        }
        let cost = self.forget(source).unwrap_or(COST_FIRST);
        self.loads[token.index()].add(cost);
        self.seats.insert(source.clone(), Seat { token, cost });
    }

    /// Sets what the polls of a source cost. A source without a seat costs nothing yet.
    pub(super) fn set_cost(&mut self, source: &Source, cost: f64) {
        let Some(seat) = self.seats.get_mut(source) else { return };
        self.loads[seat.token.index()].cost += cost - seat.cost;
        seat.cost = cost;
    }

    /// Frees the seat of a source, and returns what its polls cost.
    pub(super) fn forget(&mut self, source: &Source) -> Option<f64> {
        let seat = self.seats.remove(source)?;
        self.loads[seat.token.index()].remove(seat.cost);
        Some(seat.cost)
    }

    /// Sources at a token.
    pub(super) fn count(&self, token: TokenNumber) -> usize {
        self.loads[token.index()].sources
    }

    /// What the polls of the sources at a token cost.
    pub(super) fn load(&self, token: TokenNumber) -> f64 {
        self.loads[token.index()].cost
    }

    /// True if `source` makes burdens more even by moving from one token to the other. Each comes with its requests an hour.
    pub(super) fn should_move(
        &self,
        source: &Source,
        (own, own_hourly): (TokenNumber, f64),
        (other, other_hourly): (TokenNumber, f64),
    ) -> bool {
        let cost = self.seats.get(source).map_or(COST_FIRST, |seat| seat.cost);
        let counted = self.seats.get(source).filter(|seat| seat.token == own).map_or(0.0, |seat| seat.cost);
        let own_after = (self.load(own) - counted) / own_hourly;
        let other_after = (self.load(other) + cost) / other_hourly;
        own != other && cost > 0.0 && own_after > BURDEN_DIFFERS_MIN * other_after
    }
}

impl Load {
    fn add(&mut self, cost: f64) {
        self.sources += 1;
        self.cost += cost;
    }

    fn remove(&mut self, cost: f64) {
        self.sources -= 1;
        // Sums of fractions are not exact.
        self.cost = if self.sources == 0 { 0.0 } else { (self.cost - cost).max(0.0) };
    }
}
