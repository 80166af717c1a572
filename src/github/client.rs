//! The HTTP client: polite, bounded in time and size, and careful whom it gives the token.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use url::Url;

use super::answer::{Answer, Outcome, Page, outcome_of};
use super::authorization::{Authorizations, TokenNumber};
use super::headers::{Hints, etag};
use super::link::{is_same_origin, next_page};
use crate::config::{Source, Tls};
use crate::event::split_page;
use crate::handshake;

const USER_AGENT: &str = concat!("github-event-etl/", env!("CARGO_PKG_VERSION"));
const API_VERSION: &str = "2022-11-28";
/// The most that GitHub gives at once.
const PER_PAGE: &str = "100";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole request, so that a body that trickles in byte by byte ends too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body taken, after decompression; a page of 100 events has about 300 KB.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// GitHub redirects once, for a repository that was renamed.
const REDIRECTS_MAX: u32 = 3;

/// Asks GitHub's API, or a stand-in for it, one request at a time.
pub struct Client {
    http: reqwest::Client,
    api: Url,
    authorizations: Authorizations,
    tls: Tls,
}

impl Client {
    /// A client of the API at `api`; nothing is sent yet. Without any token, requests are made without one.
    ///
    /// # Errors
    /// [`UsageError`](crate::config::UsageError) when a token cannot be sent in a header, or there is no CA to trust.
    pub fn new(api: Url, tokens: &[SecretString], tls: &Tls) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(default_headers())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(REQUEST_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // They are followed by hand, because only permanent ones change where a feed is asked for next time.
            .redirect(Policy::none());
        // Without TLS no certificates are needed, and a machine that has none can still speak to a stand-in.
        let http = if api.scheme() == "http" {
            http.tls_certs_only([])
        } else {
            http.tls_backend_preconfigured(tls.client_config()?)
        };
        let http = http.build().context("set up the HTTP client for GitHub")?;
        Ok(Self { http, api, authorizations: Authorizations::new(tokens)?, tls: tls.clone() })
    }

    /// The number of tokens.
    pub fn tokens(&self) -> usize {
        self.authorizations.count()
    }

    /// `host` or `host:port`, as logs name it.
    pub fn server(&self) -> String {
        let host = self.api.host_str().unwrap_or_default();
        self.api.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Where the newest page of `source` is.
    pub fn first_page(&self, source: &Source) -> Url {
        let mut url = self.api.clone();
        url.set_fragment(None);
        let path = format!("{}/{}", self.api.path().trim_end_matches('/'), source.path());
        url.set_path(&path);
        url.set_query(Some(&format!("per_page={PER_PAGE}")));
        url
    }

    /// Makes one request with this token, or more if GitHub redirects it. `etag` is that of the page that we have already. Each request
    /// takes 30 s at most; safe to drop.
    pub async fn get(&self, url: &Url, etag: Option<&str>, token: TokenNumber) -> Answer {
        let (mut asked, mut moved_to, mut hops) = (url.clone(), None, 0);
        loop {
            let response = match self.request(&asked, etag, token).send().await {
                Ok(response) => response,
                Err(error) => return Answer::failed(self.explain(error, &asked).await),
            };
            let hints = Hints::read(response.headers(), chrono::Utc::now());
            let status = response.status();
            let outcome = match redirect(&response, &asked) {
                Redirect::To(target) if hops < REDIRECTS_MAX => {
                    // Permanent as a whole if every one of them is.
                    let is_permanent =
                        matches!(status.as_u16(), 301 | 308) && (hops == 0 || moved_to.is_some());
                    moved_to = is_permanent.then(|| target.clone());
                    (asked, hops) = (target, hops + 1);
                    continue;
                }
                Redirect::To(_) => Outcome::Failed { reason: "too many redirects".into() },
                Redirect::Elsewhere => Outcome::Failed {
                    reason: format!("{status}: it redirects to another server, which is not followed"),
                },
                Redirect::None if status == StatusCode::OK => read_page(response, &asked).await,
                Redirect::None => outcome_of(status, &hints),
            };
            return Answer { outcome, hints, moved_to };
        }
    }

    fn request(&self, url: &Url, etag: Option<&str>, token: TokenNumber) -> RequestBuilder {
        let mut request = self.http.get(url.clone());
        if let Some(authorization) = self.authorizations.of(token) {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        request
    }

    /// Why no answer came, in words for the log.
    async fn explain(&self, error: reqwest::Error, url: &Url) -> String {
        let (while_connecting, is_timeout) = (error.is_connect(), error.is_timeout());
        let failed = handshake::Failed { error: &error, url, while_connecting, is_timeout };
        match handshake::of_web_server(failed, &self.tls).await {
            Some(reason) => reason,
            None => in_words(error),
        }
    }
}

fn default_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
    headers
}

/// Where an answer redirects to.
enum Redirect {
    None,
    To(Url),
    /// Another server, or no valid address: not followed, because the token is meant for the server that was asked.
    Elsewhere,
}

/// The redirect in `response`, which came from `asked`.
fn redirect(response: &Response, asked: &Url) -> Redirect {
    // The others below 400 are no redirects of a GET.
    if !matches!(response.status().as_u16(), 301 | 302 | 307 | 308) {
        return Redirect::None;
    }
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    match location.and_then(|location| asked.join(location).ok()) {
        Some(target) if is_same_origin(&target, asked) => Redirect::To(with_query(target, asked)),
        _ => Redirect::Elsewhere,
    }
}

/// Where to ask for a feed that a redirect leads to: with the query of `asked`, as far as the redirect leaves it out. Without it, a
/// page would have 30 events.
fn with_query(mut target: Url, asked: &Url) -> Url {
    if target.path().ends_with("/events") {
        for (name, value) in asked.query_pairs() {
            if target.query_pairs().all(|(other, _)| other != name) {
                target.query_pairs_mut().append_pair(&name, &value);
            }
        }
    }
    target
}

async fn read_page(response: Response, asked: &Url) -> Outcome {
    let etag = etag(response.headers());
    let next = response
        .headers()
        .get(LINK)
        .and_then(|link| link.to_str().ok())
        .and_then(|link| next_page(link, asked));
    let page = match read_body(response).await {
        Ok(body) => split_page(&body)
            .map(|elements| elements.into_iter().map(<[u8]>::to_vec).collect())
            .map_err(|error| format!("it answered 200, but {error}")),
        Err(reason) => Err(reason),
    };
    match page {
        Ok(elements) => Outcome::Page(Page { elements, etag, next }),
        Err(reason) => Outcome::Failed { reason },
    }
}

/// Reads the body chunk by chunk, so that neither a huge one nor a small one that decompresses to a huge one is ever held.
async fn read_body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(in_words)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(format!("its answer is larger than {BODY_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error with its causes.
fn in_words(error: reqwest::Error) -> String {
    if error.is_timeout() {
        let seconds = if error.is_connect() { CONNECT_TIMEOUT } else { REQUEST_TIMEOUT }.as_secs();
        return format!("no answer within {seconds} s");
    }
    format!("{:#}", anyhow::Error::from(error.without_url()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(api: &str) -> Client {
        // The provider may be installed already, by another test.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::new(api.parse().unwrap(), &[], &Tls::default()).unwrap()
    }

    #[test]
    fn a_feed_is_below_the_api_url_whatever_its_path() {
        for (api, url) in [
            ("http://127.0.0.1:8008", "http://127.0.0.1:8008/repos/a/b/events?per_page=100"),
            ("http://ghe.example/api/v3/", "http://ghe.example/api/v3/repos/a/b/events?per_page=100"),
            ("http://x/y?z=1#f", "http://x/y/repos/a/b/events?per_page=100"),
        ] {
            assert_eq!(client(api).first_page(&"repos/a/b".parse().unwrap()).as_str(), url);
        }
        assert_eq!(client("http://127.0.0.1:8008").server(), "127.0.0.1:8008");
        assert_eq!(client("http://api.github.com").server(), "api.github.com");
    }

    #[test]
    fn a_redirect_without_our_query_keeps_it() {
        let asked = Url::parse("http://h/repos/a/b/events?per_page=100&page=2").unwrap();
        for (target, url) in [
            ("http://h/repositories/7/events", "http://h/repositories/7/events?per_page=100&page=2"),
            ("http://h/repositories/7/events?page=3", "http://h/repositories/7/events?page=3&per_page=100"),
            (
                "http://h/repositories/7/events?per_page=100&page=2",
                "http://h/repositories/7/events?per_page=100&page=2",
            ),
            ("http://h/login", "http://h/login"),
        ] {
            assert_eq!(with_query(target.parse().unwrap(), &asked).as_str(), url);
        }
    }
}
