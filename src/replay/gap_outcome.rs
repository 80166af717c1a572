//! What became of the gaps of a round, and how it is told.

use std::fmt;

use indicatif::HumanCount;

use super::gap_find::expected;
use super::gap_plan::Gap;
use super::gaps::Filler;
use super::say;
use super::tally::Size;
use crate::source::Source;

/// Filled gaps of single sources that are named in the log; more are only counted.
const NAMED_MAX: usize = 100;

/// The number of gaps by outcome of a round.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) filled: usize,
    pub(super) waiting: usize,
    pub(super) in_part: usize,
    pub(super) impossible: usize,
    /// Not filled yet: a file is damaged and may be replaced, or a mirror is away.
    pub(super) damaged: usize,
    /// GH Archive has no event of them, as this round has found out.
    pub(super) lacked: usize,
    /// The same, as an earlier round has found out.
    pub(super) lacked_before: usize,
    of_sources: OfSources,
}

/// Filled gaps of single sources, such as a repository.
#[derive(Default)]
struct OfSources {
    gaps: usize,
    found: u64,
    /// The gaps of which one can say how many events they had.
    judged: usize,
    found_in_judged: u64,
    expected: u64,
}

impl Outcome {
    /// Counts a filled gap.
    pub(super) fn fill(&mut self, gap: &Gap, found: u64) {
        self.filled += 1;
        let (id, count) = (gap.record.id(), HumanCount(found));
        if matches!(gap.source(), Source::Events) {
            tracing::debug!("{id}: {count} events found");
            return;
        }
        let about = expected(gap);
        let of_sources = &mut self.of_sources;
        of_sources.gaps += 1;
        of_sources.found += found;
        if let Some(about) = about {
            of_sources.judged += 1;
            of_sources.found_in_judged += found;
            of_sources.expected += about;
        }
        if of_sources.gaps <= NAMED_MAX {
            let about = about.map(|about| format!(" of about {}", HumanCount(about))).unwrap_or_default();
            tracing::info!("{id}: {count} events found{about}");
        } else if of_sources.gaps == NAMED_MAX + 1 {
            tracing::info!("more filled gaps are not logged");
        }
    }

    /// True if no gap stays for which waiting for a file does not help. Gaps that an earlier round found to be lacked do not count.
    pub(super) fn is_whole(&self) -> bool {
        self.in_part + self.impossible + self.damaged + self.lacked == 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in part, {} not at all, {} that GH Archive lacks too, {} not yet because a file is damaged or a mirror away",
            self.in_part, self.impossible, self.lacked, self.damaged
        )
    }
}

impl Filler<'_> {
    /// Prints what a round did.
    pub(super) fn tell(&mut self, events: u64, outcome: &Outcome) {
        let Outcome { filled, waiting, impossible, in_part, damaged, lacked, lacked_before, of_sources } =
            outcome;
        let (waiting, lacked) = (waiting + damaged, lacked + lacked_before);
        if self.args.watch && *filled == 0 && events == 0 {
            tracing::debug!(waiting, impossible, lacked, "no gap can be filled now");
            return;
        }
        let verb = if self.args.dry_run { "would fill" } else { "filled" };
        let size = Size(self.tally.bytes);
        say(&format!(
            "{verb} {filled} gaps ({in_part} of them in part) with {} events ({size} in all); {waiting} wait for files to come, {impossible} cannot be filled\n",
            HumanCount(events)
        ));
        if lacked > 0 {
            say(&format!(
                "GH Archive lacks {lacked} gaps too: it has no event of them, and they stay on record\n"
            ));
        }
        self.tell_of_sources(of_sources);
        if self.tally.rejected > 0 {
            say(&format!(
                "rejected {}: see {}\n",
                HumanCount(self.tally.rejected),
                self.rejects.path().display()
            ));
        }
    }

    fn tell_of_sources(&mut self, of_sources: &OfSources) {
        let OfSources { gaps, found, judged, found_in_judged, expected } = of_sources;
        if *gaps == 0 {
            return;
        }
        say(&format!("{gaps} gaps of single sources: {} events found", HumanCount(*found)));
        if *judged > 0 {
            say(&format!(
                "; {} of about {} in the {judged} whose polls tell how busy the source was",
                HumanCount(*found_in_judged),
                HumanCount(*expected)
            ));
        }
        say("\n");
        if !std::mem::replace(&mut self.has_warned, true) {
            say(
                "GH Archive misses events of single sources, stars most of all: such a gap may stay incomplete\n",
            );
        }
    }
}
