//! The journal of deliveries suspected of killing loaders. It is no effect of an event, so the script has no part in it.

use xxhash_rust::xxh3::xxh3_64;

use super::{Fault, Store};

/// How long the journal remembers after its last entry: longer than any series of crashes worth a name.
const REMEMBERED_S: i64 = 24 * 3600;

/// A delivery's name in the journal: of its bytes, because what kills a loader may not even have an id that can be read.
///
/// XXH3 gives the same name in every version of this program. Notes of versions before it, which named by Rust's own hasher, are not
/// found: they expire after a day, and count no death.
#[derive(Clone, Debug)]
pub struct Suspect(String);

impl Suspect {
    /// The suspect with this body.
    pub fn of(body: &[u8]) -> Self {
        Self(format!("{:016x}-{}", xxh3_64(body), body.len()))
    }
}

impl Store {
    /// Notes that the loader `loader` is about to load `suspect`, and tells how many loaders, this one included, have noted it
    /// and not lived to call [`Self::cleared`]. Noting twice counts once, so a note may be repeated.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not take the note. It may have taken it nevertheless.
    pub async fn suspected(&self, suspect: &Suspect, loader: &str) -> Result<u32, Fault> {
        let key = self.keys.crash_suspect(&suspect.0);
        self.ask::<()>(redis::cmd("SADD").arg(&key).arg(loader)).await?;
        self.ask::<()>(redis::cmd("EXPIRE").arg(&key).arg(REMEMBERED_S)).await?;
        self.ask(redis::cmd("SCARD").arg(&key)).await
    }

    /// Takes back what `loader` noted: it lives, and has stopped loading `suspect` for another reason. Notes of others stand.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not take it.
    pub async fn retracted(&self, suspect: &Suspect, loader: &str) -> Result<(), Fault> {
        let key = self.keys.crash_suspect(&suspect.0);
        self.ask(redis::cmd("SREM").arg(key).arg(loader)).await
    }

    /// Forgets `suspect`: its loader lived, or it is on its way to the dead letters.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not take it.
    pub async fn cleared(&self, suspect: &Suspect) -> Result<(), Fault> {
        self.ask(redis::cmd("DEL").arg(self.keys.crash_suspect(&suspect.0))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_outlives_this_build() {
        // What every implementation of XXH3 gives.
        for (body, name) in [("", "2d06800538d394c2-0"), ("{}", "1349cde127705c16-2")] {
            assert_eq!(Suspect::of(body.as_bytes()).0, name);
        }
    }
}
