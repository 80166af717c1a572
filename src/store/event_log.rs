//! The event log: which layout a namespace has, and whether an event is in it.
//!
//! A namespace has one layout for ever: an event that is entered in one layout is unknown to the other, and would count twice.

use super::connection::Connection;
use super::{Fault, Keys, Store};
use crate::config::EventLog;

/// What is known of a namespace's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Redis says that it is ours.
    Agreed,
    /// Redis does not say. An older version filled the namespace, or Redis was emptied while loaders ran.
    Untold,
}

/// Whether an event is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The namespace's layout.
    pub event_log: EventLog,
    /// True if the event is in the log.
    pub loaded: bool,
    /// When it was created, as far as the question or the log says.
    pub created_at: Option<String>,
}

impl Store {
    /// The same for a loader: each new connection checks that the namespace has this layout, and an empty namespace gets it.
    #[must_use]
    pub fn with_event_log(mut self, event_log: EventLog) -> Self {
        self.event_log = Some(event_log);
        self
    }

    /// The layout that this store loads in.
    pub(super) fn event_log(&self) -> EventLog {
        self.event_log.unwrap_or_default()
    }

    /// Checks that the namespace has the layout of this loader.
    ///
    /// # Errors
    /// [`Fault::OtherEventLog`] when it has the other one, any other [`Fault`] when Redis does not answer.
    pub async fn check_event_log(&self) -> Result<Layout, Fault> {
        let mut connection = self.connection().await?;
        let checked = agree(&mut connection, &self.keys, self.event_log()).await;
        if let Err(fault) = &checked {
            self.forget_after(fault, &connection).await;
        }
        checked
    }

    /// Writes down that the namespace has the layout of this loader, unless Redis says something already.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not take it.
    pub async fn claim_event_log(&self) -> Result<(), Fault> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.event_log_layout()).arg(self.event_log().name()).arg("NX");
        self.ask(&set).await
    }

    /// Looks an event up. In a namespace with a set for each second, `created_at` (in UTC, as events have it) is needed: without
    /// it the answer is nothing.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn look_up(&self, id: &str, created_at: Option<&str>) -> Result<Option<Lookup>, Fault> {
        let told: Option<String> = self.ask(redis::cmd("GET").arg(self.keys.event_log_layout())).await?;
        if told.as_deref() == Some(EventLog::PerSecond.name()) {
            let Some(created_at) = created_at else { return Ok(None) };
            let is_member = redis::cmd("SISMEMBER").arg(self.keys.second(created_at)).arg(id).to_owned();
            let loaded = self.ask(&is_member).await?;
            let created_at = Some(created_at.to_owned());
            return Ok(Some(Lookup { event_log: EventLog::PerSecond, loaded, created_at }));
        }
        let mark: Option<String> = self.ask(redis::cmd("GET").arg(self.keys.mark(id))).await?;
        let marked = mark.as_deref().and_then(time_in);
        let event_log = EventLog::PerEvent;
        let Some(created_at) = created_at else {
            return Ok(Some(Lookup { event_log, loaded: mark.is_some(), created_at: marked }));
        };
        let loaded = marked.as_deref() == Some(created_at)
            || self.ask(redis::cmd("EXISTS").arg(self.keys.own_mark(id, created_at))).await?;
        Ok(Some(Lookup { event_log, loaded, created_at: Some(created_at.to_owned()) }))
    }
}

/// The time in a mark.
fn time_in(mark: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Mark {
        created_at: String,
    }
    serde_json::from_str(mark).ok().map(|Mark { created_at }| created_at)
}

/// Compares what Redis says with `event_log`. An empty namespace is given that layout.
pub(super) async fn agree(
    connection: &mut Connection,
    keys: &Keys,
    event_log: EventLog,
) -> Result<Layout, Fault> {
    let layout = keys.event_log_layout();
    let mut look = redis::pipe();
    look.cmd("GET").arg(&layout);
    look.cmd("EXISTS").arg(keys.first_inserted_at());
    look.cmd("EXISTS").arg(keys.hours());
    let asked = look.query_async(&mut connection.multiplexed).await;
    let (told, has_events, is_indexed): (Option<String>, bool, bool) = asked.map_err(|e| of_server(&e))?;
    let told = match told {
        Some(told) => told,
        // Versions that had one layout only kept no index of hours.
        None if has_events && !is_indexed && event_log != EventLog::default() => {
            EventLog::default().name().to_owned()
        }
        None if has_events => return Ok(Layout::Untold),
        None => {
            let mut set = redis::cmd("SET");
            set.arg(&layout).arg(event_log.name()).arg("NX").arg("GET");
            let before: Option<String> =
                set.query_async(&mut connection.multiplexed).await.map_err(|e| of_server(&e))?;
            before.unwrap_or_else(|| event_log.name().to_owned())
        }
    };
    if told == event_log.name() {
        return Ok(Layout::Agreed);
    }
    Err(Fault::OtherEventLog(format!(
        "{layout} is {told}, and this loader has --event-log {event_log} (LOADER_EVENT_LOG): use --event-log {told}, or change over: \
         start loaders with another --namespace and --event-log {event_log}, fill it (replay archive), then let readers use it \
         (docs/OPERATIONS.md)"
    )))
}

fn of_server(error: &redis::RedisError) -> Fault {
    Fault::from_redis(error).of_server()
}
