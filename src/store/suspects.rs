//! Notes about crash suspects: deliveries that may be killing loaders. A note is not an effect of an event, so the script does
//! not write it.

use xxhash_rust::xxh3::xxh3_64;

use super::{Fault, Store};

/// Lifetime of the notes about a crash suspect after the last one.
const REMEMBERED_S: i64 = 24 * 3600;

/// The name of a crash suspect in its notes. It is made of the body's bytes, because the body may have no readable id.
///
/// XXH3 gives the same name in every version of this program. Older versions hashed with Rust's hasher. Their notes are not found,
/// and expire after a day.
#[derive(Clone, Debug)]
pub struct Suspect(String);

impl Suspect {
    /// The suspect with this body.
    pub fn of(body: &[u8]) -> Self {
        Self(format!("{:016x}-{}", xxh3_64(body), body.len()))
    }
}

impl Store {
    /// Notes that the loader `loader` is about to load `suspect`. Returns how many loaders have a note that is not cleared, this one
    /// included. Noting twice counts once, so a note may be repeated.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not confirm the note. It may be stored nevertheless.
    pub async fn suspected(&self, suspect: &Suspect, loader: &str) -> Result<u32, Fault> {
        let key = self.keys.crash_suspect(&suspect.0);
        self.ask::<()>(redis::cmd("SADD").arg(&key).arg(loader)).await?;
        self.ask::<()>(redis::cmd("EXPIRE").arg(&key).arg(REMEMBERED_S)).await?;
        self.ask(redis::cmd("SCARD").arg(&key)).await
    }

    /// Removes the note of `loader`, which is alive and stopped loading `suspect`. Notes of other loaders stay.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not confirm it.
    pub async fn retracted(&self, suspect: &Suspect, loader: &str) -> Result<(), Fault> {
        let key = self.keys.crash_suspect(&suspect.0);
        self.ask(redis::cmd("SREM").arg(key).arg(loader)).await
    }

    /// Removes all notes about `suspect`: its loader survived, or the message goes to the dead letters.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not confirm it.
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
