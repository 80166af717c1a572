//! The state of the servers that the program needs. `/readyz` and the log lines "is away" and "is back" come from it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};

use crate::duration::Rounded;

/// The state of everything a program depends on. Cheap to clone; all clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Health {
    // Held for a map operation only, never across an await.
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    needed: Groups,
    extras: Groups,
    last_error: Option<LastError>,
    /// Numbers the users of all groups.
    users: u64,
}

/// Dependencies by name.
type Groups = BTreeMap<String, Group>;

/// One server, as each part of the program that talks to it sees it. Several loaders in one process share a name, and each
/// has a connection of its own that can be broken alone.
#[derive(Debug, Default)]
struct Group {
    states: BTreeMap<u64, State>,
    /// When the log reported that it is away.
    told_away: Option<Instant>,
}

/// The last failure of a dependency, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    pub at: DateTime<Utc>,
    /// The dependency and the reason: `Redis at 127.0.0.1:6379: connection refused`.
    pub text: String,
}

#[derive(Debug)]
enum State {
    /// Not reached yet. The program is not ready, and no failure is logged.
    Starting,
    Up,
    Away(String),
}

/// How the program reacts to a missing dependency.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// It waits: it is not ready.
    Needed,
    /// It works without it, degraded.
    Extra,
}

/// One part's view of a dependency. It is owned by the code that talks to the server, which reports success and failure. It ends when
/// its last clone is dropped.
#[derive(Clone, Debug)]
pub struct Dependency(Arc<User>);

#[derive(Debug)]
struct User {
    name: String,
    role: Role,
    number: u64,
    health: Health,
}

impl Health {
    /// Enters a dependency, not ready until it reports [`Dependency::up`]. Of several with one name, each counts.
    ///
    /// `name` is shown in logs and answers: kind and address, without a password (`RabbitMQ at 127.0.0.1:5672`).
    pub fn dependency(&self, name: impl Into<String>) -> Dependency {
        self.enter(name.into(), Role::Needed)
    }

    /// Enters a dependency that the program can do without. While it is away the program is ready, and degraded.
    pub fn extra(&self, name: impl Into<String>) -> Dependency {
        self.enter(name.into(), Role::Extra)
    }

    fn enter(&self, name: String, role: Role) -> Dependency {
        let mut known = self.lock();
        known.users += 1;
        let number = known.users;
        known.group(role, &name).states.insert(number, State::Starting);
        Dependency(Arc::new(User { name, role, number, health: self.clone() }))
    }

    /// Names and reasons of the servers that are not ready. Empty if the program is ready.
    pub fn not_ready(&self) -> Vec<(String, String)> {
        complaints(&self.lock().needed, |state| match state {
            State::Starting => Some("not reached yet"),
            State::Up => None,
            State::Away(reason) => Some(reason),
        })
    }

    /// Names and reasons of the extras that are away.
    pub fn degraded(&self) -> Vec<(String, String)> {
        complaints(&self.lock().extras, State::why_away)
    }

    /// The last failure, whether over or not.
    pub fn last_error(&self) -> Option<LastError> {
        self.lock().last_error.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

/// Each name once, with the first complaint of its users and, where there are several users, how many complain.
fn complaints(groups: &Groups, complaint: impl Fn(&State) -> Option<&str>) -> Vec<(String, String)> {
    let of_group = |(name, group): (&String, &Group)| {
        let complaints: Vec<_> = group.states.values().filter_map(&complaint).collect();
        // Prefer the reason of a failure to 'not reached yet'.
        let away = group.states.values().find_map(State::why_away);
        let reason = away.or_else(|| complaints.first().copied())?;
        let text = match group.states.len() {
            1 => reason.to_owned(),
            users => format!("{reason} ({} of {users} connections)", complaints.len()),
        };
        Some((name.clone(), text))
    };
    groups.iter().filter_map(of_group).collect()
}

impl Known {
    fn group(&mut self, role: Role, name: &str) -> &mut Group {
        let groups = match role {
            Role::Needed => &mut self.needed,
            Role::Extra => &mut self.extras,
        };
        groups.entry(name.to_owned()).or_default()
    }
}

impl Group {
    fn is_away(&self) -> bool {
        self.states.values().any(|state| state.why_away().is_some())
    }
}

impl State {
    fn why_away(&self) -> Option<&str> {
        match self {
            Self::Away(reason) => Some(reason),
            Self::Starting | Self::Up => None,
        }
    }
}

impl Dependency {
    /// The dependency answers. Logs once if it was away, when the last user that found it away reports up.
    pub fn up(&self) {
        let User { name, role, number, health } = &*self.0;
        let mut known = health.lock();
        let group = known.group(*role, name);
        group.states.insert(*number, State::Up);
        if group.is_away() {
            return;
        }
        if let Some(since) = group.told_away.take() {
            let away = since.elapsed();
            tracing::info!(
                dependency = name,
                away_s = away.as_secs(),
                "{name} is back after {}",
                Rounded(away)
            );
        }
    }

    /// True after a failure was reported, until a success is.
    pub fn is_away(&self) -> bool {
        self.look(|state| state.why_away().is_some())
    }

    /// Why it is away. None if it is not.
    pub fn why_away(&self) -> Option<String> {
        self.look(|state| state.why_away().map(str::to_owned))
    }

    /// True once it has answered, unless it is away.
    pub fn is_up(&self) -> bool {
        self.look(|state| matches!(state, State::Up))
    }

    /// Its name in logs and answers: kind and address.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The dependency does not answer. Logs once for all that share its name, if it was not away before.
    pub fn away(&self, reason: impl Display) {
        let User { name, role, number, health } = &*self.0;
        let reason = reason.to_string();
        let mut known = health.lock();
        let group = known.group(*role, name);
        let is_news = !group.states.values().any(|state| state.why_away() == Some(&reason));
        if group.told_away.is_none() {
            group.told_away = Some(Instant::now());
            let consequence = match role {
                Role::Needed => "retrying until it is back",
                Role::Extra => "events go on without it",
            };
            tracing::warn!(dependency = name, reason, "{name} is away: {reason}; {consequence}");
        }
        let last_error = LastError { at: Utc::now(), text: format!("{name}: {reason}") };
        group.states.insert(*number, State::Away(reason));
        if is_news {
            known.last_error = Some(last_error);
        }
    }

    fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        let User { name, role, number, health } = &*self.0;
        at(health.lock().group(*role, name).states.get(number).unwrap_or(&State::Starting))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // The group stays, for the line that says that the server is back: names are few.
        self.health.lock().group(self.role, &self.name).states.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_not_ready_until_it_is_up_and_again_when_away() {
        let health = Health::default();
        let redis = health.dependency("Redis");
        assert_eq!(health.not_ready(), [("Redis".to_owned(), "not reached yet".to_owned())]);
        redis.up();
        assert!(health.not_ready().is_empty());
        redis.away("connection refused");
        assert_eq!(health.not_ready(), [("Redis".to_owned(), "connection refused".to_owned())]);
        redis.up();
        assert!(health.not_ready().is_empty());
    }

    #[test]
    fn the_last_trouble_is_remembered_when_it_is_over() {
        let health = Health::default();
        let redis = health.dependency("Redis");
        assert_eq!(health.last_error(), None);
        redis.away("refused");
        let first = health.last_error().unwrap();
        assert_eq!(first.text, "Redis: refused");
        redis.away("refused");
        redis.up();
        assert_eq!(health.last_error(), Some(first), "the same again is no news");
        redis.away("timeout");
        assert_eq!(health.last_error().unwrap().text, "Redis: timeout");
    }

    #[test]
    fn a_user_that_is_up_does_not_hide_another_that_is_away() {
        let health = Health::default();
        let (one, other, third) =
            (health.dependency("Redis"), health.dependency("Redis"), health.dependency("Redis"));
        [&one, &other].into_iter().for_each(Dependency::up);
        assert_eq!(reasons(health.not_ready()), ["Redis: not reached yet (1 of 3 connections)"]);
        one.away("refused");
        other.up();
        assert_eq!(reasons(health.not_ready()), ["Redis: refused (2 of 3 connections)"]);
        assert!(one.is_away() && other.is_up() && !third.is_away() && !third.is_up());
        one.up();
        third.up();
        assert!(health.not_ready().is_empty());
    }

    #[test]
    fn whoever_has_ended_needs_nothing_any_more() {
        let health = Health::default();
        let (stays, ends) = (health.dependency("Redis"), health.dependency("Redis"));
        stays.up();
        ends.away("refused");
        let clone = ends.clone();
        drop(ends);
        assert_eq!(health.not_ready().len(), 1, "a clone of it is in use");
        drop(clone);
        assert!(health.not_ready().is_empty());
    }

    #[test]
    fn an_extra_degrades_the_program_and_does_not_make_it_unready() {
        let health = Health::default();
        let archive = health.extra("the archive");
        assert!(health.not_ready().is_empty() && health.degraded().is_empty(), "it has not reported yet");
        archive.away("no such stream");
        assert!(health.not_ready().is_empty());
        assert_eq!(reasons(health.degraded()), ["the archive: no such stream"]);
        assert_eq!(health.last_error().unwrap().text, "the archive: no such stream");
        archive.up();
        assert!(health.degraded().is_empty());
    }

    fn reasons(complaints: Vec<(String, String)>) -> Vec<String> {
        complaints.into_iter().map(|(name, why)| format!("{name}: {why}")).collect()
    }
}
