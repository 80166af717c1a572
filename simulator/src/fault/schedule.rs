//! When faults strike.

use super::Fault;

/// The active faults, and for each the number of requests that it could hit, and of those that it hit.
pub struct Schedule {
    faults: Vec<Planned>,
}

struct Planned {
    fault: Fault,
    seen: u64,
    struck: u64,
}

impl Schedule {
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let faults = faults.into_iter().map(|fault| Planned { fault, seen: 0, struck: 0 });
        Self { faults: faults.collect() }
    }

    /// The faults that strike the next request for a page of the feed at `path`, made with this token.
    pub fn strike(&mut self, path: &str, page: u64, token: Option<&[u8]>) -> Vec<Fault> {
        self.faults
            .iter_mut()
            .filter(|planned| planned.fault.matches(path, page, token))
            .filter_map(Planned::next)
            .collect()
    }
}

impl Planned {
    fn next(&mut self) -> Option<Fault> {
        self.seen += 1;
        let fault = &self.fault;
        let strikes = self.seen > fault.after
            && (self.seen - fault.after).is_multiple_of(fault.every)
            && fault.first.is_none_or(|first| self.struck < first);
        self.struck += u64::from(strikes);
        strikes.then(|| fault.clone())
    }
}
