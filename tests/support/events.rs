//! Events for tests: small, and as odd as wanted.

use serde_json::Value;

/// Builds the bytes of one event.
#[derive(Clone, Debug)]
pub struct EventBuilder {
    id: String,
    kind: String,
    created_at: String,
    login: Option<String>,
    extra: String,
}

/// A push by `octocat` in the hour 2015-01-01-12.
pub fn event(id: impl ToString) -> EventBuilder {
    EventBuilder {
        id: id.to_string(),
        kind: "PushEvent".into(),
        created_at: "2015-01-01T12:00:01Z".into(),
        login: Some("octocat".into()),
        extra: String::new(),
    }
}

impl EventBuilder {
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = kind.into();
        self
    }

    pub fn at(mut self, created_at: &str) -> Self {
        self.created_at = created_at.into();
        self
    }

    pub fn by(mut self, login: &str) -> Self {
        self.login = Some(login.into());
        self
    }

    pub fn by_nobody(mut self) -> Self {
        self.login = None;
        self
    }

    /// Adds a top-level field; `json` goes in as it is.
    pub fn with(mut self, name: &str, json: &str) -> Self {
        self.extra += &format!(",{}:{json}", Value::from(name));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let actor = self.login.as_ref().map(|login| {
            format!(
                r#","actor":{{"id":7,"login":{},"avatar_url":"https://a/"}}"#,
                Value::from(login.as_str())
            )
        });
        let (id, kind, time) = (
            Value::from(self.id.as_str()),
            Value::from(self.kind.as_str()),
            Value::from(self.created_at.as_str()),
        );
        let (actor, extra) = (actor.unwrap_or_default(), &self.extra);
        format!(r#"{{"id":{id},"type":{kind}{actor},"payload":{{ "size" : 1 }},"created_at":{time}{extra}}}"#)
            .into_bytes()
    }
}

/// `count` different events over three hours, five types and eleven developers, one of them a bot and one unnamed; every
/// tenth comes twice.
pub fn feed(count: usize) -> Vec<Vec<u8>> {
    let kinds = ["PushEvent", "PullRequestEvent", "WatchEvent", "IssuesEvent", "ForkEvent"];
    (0..count)
        .flat_map(|n| {
            let time = format!("2015-01-01T{:02}:{:02}:{:02}Z", 10 + n % 3, n / 60 % 60, n % 60);
            let event = event(2_489_651_000 + n).kind(kinds[n % 5]).at(&time);
            let event = match n % 11 {
                0 => event.by_nobody(),
                1 => event.by("renovate[bot]"),
                who => event.by(&format!("dev-{who}")),
            };
            vec![event.bytes(); if n % 10 == 0 { 2 } else { 1 }]
        })
        .collect()
}
