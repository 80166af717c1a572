//! Notes about crash suspects: deliveries that may be killing loaders. A note is not an effect of an event, so the script does
//! not write it.

use xxhash_rust::xxh3::xxh3_64;

use super::{Fault, Store};

/// Lifetime of the notes about a crash suspect after the last one.
const REMEMBERED_S: i64 = 24 * 3600;

/// The name of a crash suspect in its notes. It is made of the body's bytes, because the body may have no readable id.
///
/// XXH3 gives the same name in every version of this program. Notes of versions before it, which named by Rust's own hasher,
/// are not found: they expire after a day, and count no death.
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
