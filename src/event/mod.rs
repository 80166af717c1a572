//! The shape of GitHub's event JSON: parsing, flattening, and splitting pages. No other module knows it. No I/O.
//!
//! An event is what <https://docs.github.com/en/rest/using-the-rest-api/github-event-types> describes: an object with
//! `id`, `type`, `created_at`, `actor`, `repo`, `payload` and more. We ask only for the first three; everything else
//! passes through untouched, so a new payload format needs no change here.
//!
//! A [`Filter`] selects events to show. An [`Hour`] is the unit of counts, scores and GH Archive's files.

mod fields;
mod filter;
mod headline;
mod hour;
mod identity;
mod invalid;
mod kinds;
mod nesting;
mod page;
mod rebuilt;

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::value::RawValue;

use fields::RawFields;
pub use filter::{Filter, NamePattern, TypeFilter};
pub use headline::Headline;
pub use hour::{Hour, HourName};
pub(crate) use hour::{parse_day, parse_hour};
pub use identity::identity;
pub use invalid::NotAnEvent;
pub use kinds::{KINDS, place_of_kind};
pub use page::{NotAPage, split_page};
pub use rebuilt::Rebuilt;

/// The largest body we take for an event: GitHub's largest is well under 100 KB.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One of GitHub's events, borrowed from its bytes.
#[derive(Debug)]
pub struct Event<'a> {
    /// GitHub's id: a decimal string so far, but any text of 1 to 255 bytes without control characters is taken.
    pub id: Cow<'a, str>,
    /// The event's type, such as `PushEvent`; never empty.
    pub kind: Cow<'a, str>,
    /// When it happened, as `2015-01-01T12:00:01Z`: UTC, a fraction only if it has one, and at most a day from now.
    pub created_at: Cow<'a, str>,
    created: DateTime<Utc>,
    size: usize,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Event<'a> {
    /// Reads an event from its bytes as GitHub sent them.
    ///
    /// # Errors
    /// [`NotAnEvent`] says why the body is no event. Memory use is bounded by the body; nothing panics.
    pub fn parse(body: &'a [u8]) -> Result<Self, NotAnEvent> {
        if body.len() > BODY_BYTES_MAX {
            return Err(NotAnEvent::TooLarge { bytes: body.len() });
        }
        nesting::check(body)?;
        let RawFields(fields) = fields::parse(body)?;
        let (mut id, mut kind, mut created_at) = (None, None, None);
        for (name, value) in &fields {
            match name.as_ref() {
                "id" => id = Some(parse_id(value.get())?),
                "type" => kind = Some(parse_kind(value.get())?),
                "created_at" => created_at = Some(parse_created_at(value.get())?),
                _ => {}
            }
        }
        let (created_at, created) = created_at.ok_or(NotAnEvent::Missing("created_at"))?;
        Ok(Self {
            id: id.ok_or(NotAnEvent::Missing("id"))?,
            kind: kind.ok_or(NotAnEvent::Missing("type"))?,
            created_at,
            created,
            size: body.len(),
            fields,
        })
    }

    /// The time of [`Self::created_at`].
    pub fn created(&self) -> DateTime<Utc> {
        self.created
    }

    /// Bytes of the body it was read from; its flattened fields have no more.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The hour that it is counted in.
    pub fn hour(&self) -> Hour {
        Hour::of(self.created)
    }

    /// The top-level fields in order: strings unquoted, everything else its exact JSON text.
    pub fn flattened(&self) -> impl ExactSizeIterator<Item = (&str, Cow<'a, str>)> {
        // `fields::parse` has checked that every top-level string can be unquoted.
        self.fields.iter().map(|(name, value)| {
            let text = value.get();
            (name.as_ref(), fields::unquote(text).unwrap_or(Cow::Borrowed(text)))
        })
    }

    /// The login of the actor, if the event names one.
    pub fn actor_login(&self) -> Option<Cow<'a, str>> {
        self.name_in("actor", "login")
    }

    /// The repository as `owner/name`, if the event names one.
    pub fn repo_name(&self) -> Option<Cow<'a, str>> {
        self.name_in("repo", "name")
    }

    /// GitHub's number of the repository, if the event has it. It stays when the repository is renamed.
    pub fn repo_id(&self) -> Option<u64> {
        let (_, object) = self.fields.iter().find(|(known, _)| known == "repo")?;
        headline::id_in(object.get())
    }

    /// The login of the organisation it happened in, if in any.
    pub fn org_login(&self) -> Option<Cow<'a, str>> {
        self.name_in("org", "login")
    }

    fn name_in(&self, field: &str, name: &str) -> Option<Cow<'a, str>> {
        let (_, object) = self.fields.iter().find(|(known, _)| known == field)?;
        headline::name_in(object.get(), name).filter(|name| !name.is_empty())
    }
}

/// True for accounts that GitHub marks as apps: their login ends in `[bot]`.
pub fn is_bot(login: &str) -> bool {
    login.ends_with("[bot]")
}

/// The id in a body that may be no event: its field `id`, if it holds one as events have it.
pub fn id_in(body: &[u8]) -> Option<String> {
    if body.len() > BODY_BYTES_MAX || nesting::check(body).is_err() {
        return None;
    }
    let RawFields(fields) = fields::parse(body).ok()?;
    let (_, id) = fields.iter().find(|(name, _)| name == "id")?;
    parse_id(id.get()).ok().map(Cow::into_owned)
}

/// Ids become part of Redis keys and a `message_id`, which AMQP limits to 255 bytes.
const ID_BYTES_MAX: usize = 255;

fn parse_id(text: &str) -> Result<Cow<'_, str>, NotAnEvent> {
    let is_integer =
        !text.is_empty() && text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit());
    let id = match fields::unquote(text) {
        Some(id) => id,
        None if is_integer => Cow::Borrowed(text),
        None => return Err(NotAnEvent::Invalid("id", "must be a string or an integer")),
    };
    if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(NotAnEvent::Invalid("id", "must have 1 to 255 bytes and no control characters"));
    }
    Ok(id)
}

fn parse_kind(text: &str) -> Result<Cow<'_, str>, NotAnEvent> {
    fields::unquote(text)
        .filter(|kind| !kind.is_empty())
        .ok_or(NotAnEvent::Invalid("type", "must be a string that is not empty"))
}

/// How far an event may be ahead of this machine's clock. Clocks differ by seconds. A later time is an error or a hoax, and its hour
/// would be the newest hour of the dashboard for as long as hours are kept.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

fn parse_created_at(text: &str) -> Result<(Cow<'_, str>, DateTime<Utc>), NotAnEvent> {
    const EXPECTED: NotAnEvent = NotAnEvent::Invalid(
        "created_at",
        "must be an RFC 3339 time from 1970 to a day from now, by the clock of this machine",
    );
    let sent = fields::unquote(text).ok_or(EXPECTED)?;
    let (normal, time) = normal_time(sent).ok_or(EXPECTED)?;
    if time < DateTime::UNIX_EPOCH || time > Utc::now() + AHEAD_MAX {
        return Err(EXPECTED);
    }
    Ok((normal, time))
}

/// The one spelling of a time that events have, such as `2015-01-01T12:00:01Z`, and the time; nothing if the text is no RFC 3339
/// time. GitHub's own form needs no rewriting.
pub fn normal_time(text: Cow<'_, str>) -> Option<(Cow<'_, str>, DateTime<Utc>)> {
    let time = DateTime::parse_from_rfc3339(&text).ok()?.to_utc();
    let is_normal = text.len() == 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    let normal = if is_normal { text } else { time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into() };
    Some((normal, time))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod property_tests;
