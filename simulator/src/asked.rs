//! The request of a client.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};

use super::feed::Filter;

/// The resources that exist.
pub(super) enum Route {
    Feed(Filter),
    RateLimit,
    Unknown,
}

/// A request without its body, which nothing here has.
pub(super) struct Asked {
    pub method: Method,
    /// Path and query only.
    pub uri: Uri,
    pub host: String,
    pub headers: HeaderMap,
}

impl Asked {
    pub(super) fn new(parts: Parts) -> Self {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let path = parts.uri.path_and_query().cloned();
        Self {
            method: parts.method,
            host: host.unwrap_or("localhost").to_owned(),
            uri: path.map(Uri::from).unwrap_or_default(),
            headers: parts.headers,
        }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    pub(super) fn authorised(&self) -> bool {
        self.headers.contains_key(header::AUTHORIZATION)
    }

    /// The value of the `Authorization` header without its scheme: whose quota a request counts against.
    pub(super) fn token(&self) -> Option<&[u8]> {
        let value = self.headers.get(header::AUTHORIZATION)?.as_bytes();
        value.rsplit(|&byte| byte == b' ').next()
    }

    /// Whether the client has the answer with this ETag already; compared weakly, as for GET (RFC 9110, 13.1.2).
    pub(super) fn has(&self, etag: &str) -> bool {
        let known = self.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let bare = etag.trim_start_matches("W/");
        known.is_some_and(|known| {
            known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == bare)
        })
    }

    /// The resource of the path.
    pub(super) fn route(&self) -> Route {
        let parts: Vec<&str> = self.uri.path().trim_start_matches('/').split('/').collect();
        match parts[..] {
            _ if !matches!(self.method, Method::GET | Method::HEAD) => Route::Unknown,
            ["events"] => Route::Feed(Filter::All),
            ["repos" | "networks", owner, name, "events"] => {
                Route::Feed(Filter::Repository(format!("{owner}/{name}")))
            }
            ["orgs", org, "events"] => Route::Feed(Filter::Organisation(org.to_owned())),
            ["repositories", id, "events"] => by_id(id, Filter::RepositoryId),
            ["organizations", id, "events"] => by_id(id, Filter::OrganisationId),
            ["users", user, "events"] => Route::Feed(Filter::User(decoded(user))),
            ["rate_limit"] => Route::RateLimit,
            _ => Route::Unknown,
        }
    }
}

fn by_id(id: &str, filter: fn(u64) -> Filter) -> Route {
    id.parse().map_or(Route::Unknown, |id| Route::Feed(filter(id)))
}

/// The brackets of bots' logins come encoded from some clients; no other character of a login needs it.
fn decoded(login: &str) -> String {
    login.replace("%5B", "[").replace("%5D", "]").replace("%5b", "[").replace("%5d", "]")
}
