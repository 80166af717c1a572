//! Probes whether Redis can load events. `PING` does not show that: a full or read-only Redis answers it.

use redis::Pipeline;

use super::connection::Connection;
use super::{Fault, Store};

/// Every key of the call is the probe's own, so that it changes no counts.
const KEYS_OF_A_CALL: usize = 7;
/// Member, kind, now, maxlen, retention, login, weight.
const ARGUMENTS: [&str; 7] = ["probe", "probe", "", "0", "0", "", "0"];
/// A mark that makes the script return 0: the event is loaded already. It is of the layout with a key for each event, which a
/// call has in any namespace.
const MARK: &str = r#"{"created_at":"probe"}"#;
/// Lifetime of the key, if the `DEL` does not run.
const LIFETIME_MS: u32 = 5000;

impl Store {
    /// Asks Redis whether it takes writes and runs the script, with a mark and a call for it that changes nothing, in one
    /// round trip that leaves nothing behind.
    ///
    /// # Errors
    /// [`Fault`] when it does not.
    pub async fn probe(&self) -> Result<(), Fault> {
        let mut connection = self.connection().await?;
        match self.try_probe(&connection).await {
            Err(Fault::ScriptMissing) => {
                connection.load_script().await?;
                self.try_probe(&connection).await
            }
            answer => answer,
        }
    }

    async fn try_probe(&self, connection: &Connection) -> Result<(), Fault> {
        let key = &self.keys.probe();
        let mut probe = Pipeline::new();
        probe.cmd("SET").arg(key).arg(MARK).arg("PX").arg(LIFETIME_MS);
        probe
            .cmd("EVALSHA")
            .arg(&connection.script_sha)
            .arg(KEYS_OF_A_CALL)
            .arg(&[key; KEYS_OF_A_CALL])
            .arg(&ARGUMENTS);
        probe.cmd("DEL").arg(key);
        self.ask_all(&mut probe, connection).await.map_err(Fault::of_server)
    }
}
