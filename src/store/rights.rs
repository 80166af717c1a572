//! Checks at the start that the user may run every command that a loader runs. Otherwise a missing right would show in the middle of an
//! event: the script has no rollback, so each attempt at that event could count it again.

use redis::Pipeline;

use super::{Fault, Store};

/// Every command that a loader or the script runs on our keys, on keys that belong to this check. `SCRIPT LOAD` and `EVALSHA` show
/// elsewhere.
const COMMANDS: [(&str, Key, &[&str]); 20] = [
    ("SET", Key::Text, &["1", "PX", LIFETIME_MS]),
    ("GET", Key::Text, &[]),
    ("EXISTS", Key::Text, &[]),
    ("SADD", Key::Set, &["1"]),
    ("EXPIRE", Key::Set, &["5"]),
    ("SCARD", Key::Set, &[]),
    ("SISMEMBER", Key::Set, &["1"]),
    ("SREM", Key::Set, &["1"]),
    ("HINCRBY", Key::Hash, &["1", "1"]),
    ("HLEN", Key::Hash, &[]),
    ("HDEL", Key::Hash, &["1"]),
    ("XADD", Key::Stream, &["MAXLEN", "~", "1", "*", "1", "1"]),
    ("ZADD", Key::Scores, &["1", "1"]),
    ("ZINCRBY", Key::Scores, &["1", "1"]),
    ("ZSCORE", Key::Scores, &["1"]),
    ("ZRANGEBYSCORE", Key::Scores, &["1", "1"]),
    ("ZREMRANGEBYSCORE", Key::Scores, &["1", "1"]),
    ("PERSIST", Key::Text, &[]),
    ("PEXPIREAT", Key::Text, &["1"]),
    ("PEXPIRETIME", Key::Text, &[]),
];
/// Lifetime of a key that is left if a command in between is refused.
const LIFETIME_MS: &str = "5000";

/// A key of this check, of one type.
#[derive(Clone, Copy)]
enum Key {
    Text,
    Set,
    Hash,
    Stream,
    Scores,
}

impl Key {
    const ALL: [Self; 5] = [Self::Text, Self::Set, Self::Hash, Self::Stream, Self::Scores];

    fn below(self, base: &str) -> String {
        let end = match self {
            Self::Text => "text",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::Stream => "stream",
            Self::Scores => "scores",
        };
        format!("{base}:{end}")
    }
}

impl Store {
    /// Runs every command of a loader once, on keys of its own, of which none is left.
    ///
    /// # Errors
    /// [`Fault`] that names the first command that the user may not run, or says why Redis takes none.
    pub async fn check_rights(&self) -> Result<(), Fault> {
        let base = self.keys.probe();
        let keys = Key::ALL.map(|key| key.below(&base));
        // Without this right the others would leave keys.
        self.ask::<()>(redis::cmd("DEL").arg(&keys)).await.map_err(Fault::of_server)?;
        let connection = self.connection().await?;
        let mut all = Pipeline::new();
        for (name, key, arguments) in COMMANDS {
            all.cmd(name).arg(key.below(&base)).arg(arguments);
        }
        // Without a key.
        all.cmd("TIME");
        all.cmd("SCAN").arg(0).arg("COUNT").arg(1);
        // It runs whatever was refused before it.
        all.cmd("DEL").arg(&keys);
        self.ask_all(&mut all, &connection).await.map_err(Fault::of_server)
    }
}
