//! All hours that have events on their way into a file. Their memory is bounded, in marks, in lines and in open gzip members.
//!
//! Events of several hours come mixed: GitHub shows some late, and a source that is polled for the first time shows weeks at once.

use std::collections::BTreeMap;
use std::io;

use super::cursor::Cursor;
use super::spool::Spool;
use crate::event::Hour;

/// Limits of what waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Marks of all hours together. Each takes up to 40 bytes.
    pub(super) marks: usize,
    /// Bytes of lines of all hours together that are not compressed yet.
    pub(super) buffered: usize,
    /// Gzip members that are written at the same time. Each takes about 0.3 MB.
    pub(super) members: usize,
    /// Hours.
    pub(super) hours: usize,
    /// Messages since an hour's first one: so many are read again after a crash.
    pub(super) messages: u64,
}

impl Limits {
    /// About 40 MB of memory. GitHub's whole feed has about 200,000 events an hour, so two of its hours fit, with all late events.
    pub(super) const USUAL: Self =
        Self { marks: 500_000, buffered: 8 << 20, members: 16, hours: 4096, messages: 1_000_000 };
}

/// The hours, each with its spool.
pub(super) struct Spools {
    limits: Limits,
    open: BTreeMap<Hour, Spool>,
    uses: u64,
}

impl Spools {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, open: BTreeMap::new(), uses: 0 }
    }

    /// The spool of an hour, made by `make` if there is none.
    pub(super) fn of(&mut self, hour: Hour, make: impl FnOnce() -> Spool) -> &mut Spool {
        self.open.entry(hour).or_insert_with(make)
    }

    pub(super) fn get_mut(&mut self, hour: Hour) -> Option<&mut Spool> {
        self.open.get_mut(&hour)
    }

    /// Forgets an hour whose events are in its file.
    pub(super) fn remove(&mut self, hour: Hour) {
        self.open.remove(&hour);
    }

    /// Every hour, the earliest first.
    pub(super) fn hours(&self) -> Vec<Hour> {
        self.open.keys().copied().collect()
    }

    /// The hours whose spools `is_wanted`, the earliest first.
    pub(super) fn hours_where(&self, is_wanted: impl Fn(&Spool) -> bool) -> Vec<Hour> {
        self.open.iter().filter(|(_, spool)| is_wanted(spool)).map(|(hour, _)| *hour).collect()
    }

    /// Where reading has to begin again if all this is lost. None if nothing is.
    pub(super) fn begin(&self) -> Option<Cursor> {
        self.open.values().map(|spool| spool.begin).min_by_key(|begin| begin.next)
    }

    /// Writes the lines of `hour` if they are enough, and all lines if they are too many.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn write_if_full(&mut self, hour: Hour) -> io::Result<()> {
        let Some(spool) = self.open.get_mut(&hour) else { return Ok(()) };
        if spool.is_full() {
            self.uses += 1;
            spool.used = self.uses;
            spool.write()?;
            self.bound_members()?;
        }
        Ok(())
    }

    /// Writes all lines if too many are in memory.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn bound_lines(&mut self) -> io::Result<()> {
        if self.open.values().map(Spool::buffered).sum::<usize>() > self.limits.buffered {
            self.open.values_mut().try_for_each(Spool::spill)?;
        }
        Ok(())
    }

    /// Ends the member that was used longest ago while too many are open.
    fn bound_members(&mut self) -> io::Result<()> {
        let open = |spool: &&mut Spool| spool.is_open();
        while self.open.values_mut().filter(open).count() > self.limits.members {
            let oldest = self.open.values_mut().filter(open).min_by_key(|spool| spool.used);
            oldest.map_or(Ok(()), Spool::end_member)?;
        }
        Ok(())
    }

    /// The hour that has to go into its file now, because all together are over a limit. `next` is the offset that is read next.
    pub(super) fn overdue(&self, next: u64) -> Option<Hour> {
        let marks: usize = self.open.values().map(|spool| spool.marks().len()).sum();
        if marks > self.limits.marks {
            // Small hours free little. Of the large ones, the earliest is the most likely to be whole.
            let is_large = |(_, spool): &(&Hour, &Spool)| spool.marks().len() * 8 >= marks;
            let largest = self.open.iter().max_by_key(|(_, spool)| spool.marks().len());
            return self.open.iter().find(is_large).or(largest).map(|(hour, _)| *hour);
        }
        let (hour, spool) = self.open.iter().min_by_key(|(_, spool)| spool.begin.next)?;
        let is_old = next.saturating_sub(spool.begin.next) > self.limits.messages;
        (is_old || self.open.len() > self.limits.hours).then_some(*hour)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::Utc;

    use super::*;

    const LIMITS: Limits = Limits { marks: 100, buffered: 1000, members: 2, hours: 5, messages: 50 };

    fn hour(number: u32) -> Hour {
        format!("2015-01-01-{number:02}").parse().unwrap()
    }

    /// Puts events into an hour, which begins at offset `begin` if it is new.
    fn fill(spools: &mut Spools, folder: &Path, number: u32, begin: u64, marks: std::ops::Range<u128>) {
        let path = folder.join(format!("{number}.part"));
        let spool = spools.of(hour(number), || Spool::new(path, Cursor::at(begin), Utc::now()));
        for mark in marks {
            spool.take(mark, b"an event");
        }
    }

    #[test]
    fn of_too_many_marks_the_earliest_of_the_large_hours_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut spools = Spools::new(LIMITS);
        fill(&mut spools, folder.path(), 1, 0, 0..3);
        fill(&mut spools, folder.path(), 2, 1, 0..40);
        fill(&mut spools, folder.path(), 3, 2, 0..57);
        assert_eq!(spools.overdue(10), None);
        fill(&mut spools, folder.path(), 3, 9, 57..58);
        assert_eq!(spools.overdue(10), Some(hour(2)));
        spools.remove(hour(2));
        assert_eq!(spools.overdue(10), None);
        assert_eq!(spools.begin(), Some(Cursor::at(0)));
    }

    #[test]
    fn of_too_many_hours_and_of_old_ones_the_one_that_began_first_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut spools = Spools::new(LIMITS);
        for number in 0..5 {
            fill(&mut spools, folder.path(), number, u64::from(10 - number), 0..1);
        }
        assert_eq!(spools.overdue(50), None);
        assert_eq!(spools.overdue(57), Some(hour(4)));
        fill(&mut spools, folder.path(), 5, 9, 0..1);
        assert_eq!(spools.overdue(50), Some(hour(4)));
    }

    #[test]
    fn lines_are_written_when_they_are_many_and_members_are_few() {
        let folder = tempfile::tempdir().unwrap();
        let mut spools = Spools::new(LIMITS);
        for number in 0..4 {
            fill(&mut spools, folder.path(), number, 0, 0..10_000);
            spools.write_if_full(hour(number)).unwrap();
        }
        let open = |spools: &Spools| spools.hours_where(Spool::is_open);
        assert_eq!(open(&spools), [hour(2), hour(3)]);
        fill(&mut spools, folder.path(), 0, 0, 10_000..10_200);
        assert_eq!(spools.get_mut(hour(0)).unwrap().buffered(), 1800);
        spools.bound_lines().unwrap();
        assert_eq!(spools.get_mut(hour(0)).unwrap().buffered(), 0);
        // Few lines do not take the place of an hour that has many.
        assert_eq!(open(&spools), [hour(2), hour(3)]);
    }
}
