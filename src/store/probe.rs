//! Whether Redis does what loading needs: a full, a read-only or a failing one still answers `PING`.

use super::{Fault, Store};

/// Ends up in nobody's counts: every key of the call is the probe's own.
const KEYS_OF_A_CALL: usize = 6;
/// Time, kind, now, maxlen, retention, login, weight.
const ARGUMENTS: [&str; 7] = ["probe", "probe", "", "0", "0", "", "0"];
/// What the script takes for the mark of an event that is loaded already.
const MARK: &str = r#"{"created_at":"probe"}"#;
/// Should we die before the key is deleted.
const LIFETIME_MS: u32 = 60_000;

impl Store {
    /// Asks Redis whether it takes writes and runs the script, with a mark and a call for it that changes nothing.
    ///
    /// # Errors
    /// [`Fault`] when it does not.
    pub async fn probe(&self) -> Result<(), Fault> {
        let key = self.keys.probe();
        self.ask::<()>(redis::cmd("SET").arg(&key).arg(MARK).arg("PX").arg(LIFETIME_MS)).await?;
        let mut connection = self.connection().await?;
        let mut answer = self.call(&connection, &key).await;
        if answer == Err(Fault::ScriptMissing) {
            connection.load_script().await?;
            answer = self.call(&connection, &key).await;
        }
        answer?;
        self.ask(redis::cmd("DEL").arg(&key)).await
    }

    async fn call(&self, connection: &super::Connection, key: &str) -> Result<(), Fault> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&connection.script_sha).arg(KEYS_OF_A_CALL).arg(&[key; KEYS_OF_A_CALL]).arg(&ARGUMENTS);
        let answer = call.query_async(&mut connection.multiplexed.clone()).await;
        self.look_at(answer, connection).await
    }
}
