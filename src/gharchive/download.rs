//! Downloads a file to disk, over as many requests as it takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use super::heard::Heard;
use super::mirror::Fetched;
use crate::config::Tls;
use crate::event::{Hour, HourName};
use crate::handshake;
use crate::health::{Dependency, Health};
use crate::retry::{self, Backoff, Interrupted};

const USER_AGENT: &str = concat!("github-event-etl/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time without a byte, the connection counts as dead. A whole file may take hours.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The largest file. An hour of 2025 has about 0.1 GB; the limit keeps an endless answer from filling the disk.
const FILE_BYTES_MAX: u64 = 8 << 30;
/// The longest that a server's `Retry-After` is heeded.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The program is to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The local disk refuses.
    #[error("keep the download in {}: {error}; make room, or choose another --state-dir", path.display())]
    Disk { path: PathBuf, error: std::io::Error },
}

/// Downloads hours from one web server, one request at a time each.
pub(super) struct Downloader {
    http: reqwest::Client,
    base: Url,
    tls: Tls,
    server: Dependency,
    /// Distinguishes its downloads from those of other mirrors. Empty if there is no other.
    tag: String,
    pub(super) heard: Heard,
}

/// Why a request has no outcome.
enum Setback {
    /// The request may be repeated, not before `after`.
    Again { reason: String, after: Duration },
    /// No request is made any more.
    Final(FetchError),
}

/// A file that is being downloaded.
struct Part {
    path: PathBuf,
    /// The version of the file whose beginning `path` holds.
    etag: Option<HeaderValue>,
}

impl Downloader {
    pub(super) fn new(base: Url, is_alone: bool, tls: &Tls, health: &Health) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
            // The file itself is gzip: it must come as it is, whatever the server calls its encoding.
            .no_gzip();
        // Without TLS no certificates are needed.
        let http = if base.scheme() == "http" {
            http.tls_certs_only([])
        } else {
            http.tls_backend_preconfigured(tls.client_config()?)
        };
        let http = http.build().context("set up the HTTP client for GH Archive")?;
        let host = base.host_str().unwrap_or_default();
        let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("GH Archive at {host}{port}");
        // The replay goes on without one of several mirrors.
        let server = if is_alone { health.dependency(name) } else { health.extra(name) };
        server.up();
        let tag =
            if is_alone { String::new() } else { format!(".{:016x}", xxh3_64(base.as_str().as_bytes())) };
        Ok(Self { http, base, tls: tls.clone(), server, tag, heard: Heard::default() })
    }

    fn url(&self, hour: Hour) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}.json.gz", self.base.path().trim_end_matches('/'), HourName(hour)));
        url
    }

    pub(super) async fn fetch(
        &self,
        hour: Hour,
        folder: &Path,
        shutdown: &CancellationToken,
    ) -> Result<Fetched, FetchError> {
        let path = folder.join(format!("{}{}.json.gz", HourName(hour), self.tag));
        // Downloaded whole by an earlier run: a download gets this name last.
        if path.is_file() {
            return Ok(Fetched::File { path, is_ours: true });
        }
        let mut part = Part { path: path.with_extension("gz.part"), etag: None };
        let mut backoff = retrying();
        let fetched = loop {
            let attempted = unless_stopped(shutdown, self.try_fetch(hour, &mut part)).await;
            if let Some(fetched) = self.settle(attempted, &mut backoff, shutdown).await? {
                break fetched;
            }
        };
        if let Fetched::File { .. } = fetched {
            // Else a power cut could leave the name without the bytes.
            let whole = async { File::open(&part.path).await?.sync_all().await };
            whole.await.map_err(|error| FetchError::Disk { path: part.path.clone(), error })?;
            tokio::fs::rename(&part.path, &path)
                .await
                .map_err(|error| FetchError::Disk { path: path.clone(), error })?;
            return Ok(Fetched::File { path, is_ours: true });
        }
        Ok(fetched)
    }

    pub(super) async fn has(&self, hour: Hour, shutdown: &CancellationToken) -> Result<bool, FetchError> {
        let mut backoff = retrying();
        loop {
            let attempted = unless_stopped(shutdown, self.look(hour)).await;
            if let Some(fetched) = self.settle(attempted, &mut backoff, shutdown).await? {
                if let Fetched::Refused { reason } = &fetched {
                    let hour = HourName(hour);
                    tracing::warn!("cannot find out whether GH Archive has hour {hour}: {reason}");
                }
                return Ok(matches!(fetched, Fetched::File { .. }));
            }
        }
    }

    /// Gives the outcome of a request that has one. After a setback, waits until the next request is due, and gives nothing.
    async fn settle(
        &self,
        attempted: Result<Fetched, Setback>,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) -> Result<Option<Fetched>, FetchError> {
        match attempted {
            Ok(fetched) => {
                self.server.up();
                self.heard.now();
                Ok(Some(fetched))
            }
            Err(Setback::Again { reason, after }) => {
                self.server.away(reason);
                retry::sleep(backoff.next_delay().max(after), shutdown).await?;
                Ok(None)
            }
            Err(Setback::Final(error)) => Err(error),
        }
    }

    /// The answer, or why none came.
    async fn answered(&self, answered: reqwest::Result<Response>) -> Result<Response, Setback> {
        let error = match answered {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let (url, while_connecting, is_timeout) = (&self.base, error.is_connect(), error.is_timeout());
        let failed = handshake::Failed { error: &error, url, while_connecting, is_timeout };
        match handshake::of_web_server(failed, &self.tls).await {
            Some(reason) => Err(Setback::again(reason)),
            None => Err(Setback::of_request(error)),
        }
    }

    async fn look(&self, hour: Hour) -> Result<Fetched, Setback> {
        let url = self.url(hour);
        let ask = async |method| self.http.request(method, url.clone()).timeout(SILENCE_MAX).send().await;
        let mut answered = ask(Method::HEAD).await;
        // Not every web server knows HEAD. The answer to GET is dropped before its body comes.
        let knows_no_head =
            |status| matches!(status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        if answered.as_ref().is_ok_and(|answer| knows_no_head(answer.status())) {
            answered = ask(Method::GET).await;
        }
        let response = self.answered(answered).await?;
        if response.status().is_success() {
            return Ok(Fetched::File { path: PathBuf::new(), is_ours: false });
        }
        refusal(&url, response.status(), response.headers())
    }

    async fn try_fetch(&self, hour: Hour, part: &mut Part) -> Result<Fetched, Setback> {
        let url = self.url(hour);
        let have = part.bytes().await;
        let mut request = self.http.get(url.clone());
        if let (Some(etag), 1..) = (&part.etag, have) {
            request = request.header(RANGE, format!("bytes={have}-")).header(IF_RANGE, etag.clone());
        }
        let response = self.answered(request.send().await).await?;
        match response.status() {
            StatusCode::OK => part.receive(response, 0, &self.heard).await,
            StatusCode::PARTIAL_CONTENT if begins_at(response.headers(), have) => {
                part.receive(response, have, &self.heard).await
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                part.etag = None;
                Err(Setback::again("it does not continue where it broke off".into()))
            }
            status => refusal(&url, status, response.headers()),
        }
    }
}

impl Part {
    async fn bytes(&self) -> u64 {
        tokio::fs::metadata(&self.path).await.map_or(0, |metadata| metadata.len())
    }

    /// Writes the answer's body behind the first `from` bytes.
    async fn receive(
        &mut self,
        mut response: Response,
        from: u64,
        heard: &Heard,
    ) -> Result<Fetched, Setback> {
        // A weak one does not promise the same bytes (RFC 9110, 13.1.5).
        self.etag = response.headers().get(ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/")).cloned();
        let disk = |error| Setback::Final(FetchError::Disk { path: self.path.clone(), error });
        let mut file =
            File::options().create(true).write(true).truncate(false).open(&self.path).await.map_err(disk)?;
        file.set_len(from).await.map_err(disk)?;
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::End(0)).await.map_err(disk)?;
        let mut bytes = from;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    // The next attempt goes on from these bytes.
                    file.flush().await.map_err(disk)?;
                    return Err(Setback::of_request(error));
                }
            };
            heard.now();
            bytes += chunk.len() as u64;
            if bytes > FILE_BYTES_MAX {
                return Ok(Fetched::Refused { reason: format!("it is larger than {FILE_BYTES_MAX} bytes") });
            }
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        Ok(Fetched::File { path: self.path.clone(), is_ours: true })
    }
}

/// A server in the internet is asked again after half a second, later after up to a minute.
fn retrying() -> Backoff {
    Backoff::between(Duration::from_millis(500), Duration::from_secs(60))
}

async fn unless_stopped(
    shutdown: &CancellationToken,
    work: impl Future<Output = Result<Fetched, Setback>>,
) -> Result<Fetched, Setback> {
    tokio::select! {
        done = work => done,
        () = shutdown.cancelled() => Err(Setback::Final(Interrupted.into())),
    }
}

fn begins_at(headers: &HeaderMap, byte: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {byte}-")))
}

/// The meaning of an answer without a file.
fn refusal(url: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Fetched, Setback> {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Fetched::Missing { place: shown(url) }),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(Setback::Again { reason: format!("it answered {status}"), after: retry_after(headers) })
        }
        status if status.is_server_error() => {
            Err(Setback::Again { reason: format!("it answered {status}"), after: retry_after(headers) })
        }
        status => Ok(Fetched::Refused { reason: format!("{} answered {status}", shown(url)) }),
    }
}

/// The URL without its query, which may hold a signature.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(RETRY_AFTER_MAX)
}

impl Setback {
    fn again(reason: String) -> Self {
        Self::Again { reason, after: Duration::ZERO }
    }

    fn of_request(error: reqwest::Error) -> Self {
        Self::again(explain(error))
    }
}

/// The error with its causes, in words for the log.
fn explain(error: reqwest::Error) -> String {
    if error.is_timeout() {
        let limit = if error.is_connect() { CONNECT_TIMEOUT } else { SILENCE_MAX };
        return format!("nothing came within {} s", limit.as_secs());
    }
    format!("{:#}", anyhow::Error::from(error.without_url()))
}
