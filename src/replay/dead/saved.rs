//! The file of `--save`: one line for each letter. The line is on disk before the letter is acked.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::rejects::append_to;
use super::letters::Kind;
use crate::broker::{Broker, Taken};
use crate::dead_letters::id;

/// A line of the file.
///
/// ```json
/// {"id":"42","reason":"missing-field: created_at","attempts":1,"redrives":0,"first_failed_at":"2026-11-24T11:56:03Z",
///  "routing_key":"PushEvent","type":"PushEvent","headers":{…},"body":"{\"id\":\"42\",…}"}
/// ```
///
/// `body` is the message's body as text; where it is not UTF-8, `body_base64` has its bytes.
#[derive(Serialize)]
struct Line<'a> {
    id: Option<String>,
    reason: String,
    attempts: u32,
    redrives: u32,
    first_failed_at: Option<String>,
    routing_key: String,
    r#type: Option<String>,
    headers: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// The file, made when the first letter comes.
pub(super) struct SavedFile {
    path: PathBuf,
    kind: Kind,
    broker: Broker,
    file: Option<File>,
}

impl SavedFile {
    pub(super) fn new(path: &Path, kind: Kind, broker: &Broker) -> Self {
        Self { path: path.to_owned(), kind, broker: broker.clone(), file: None }
    }

    /// Appends the letters; they are on disk when this returns.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub(super) fn append(&mut self, letters: &[Taken]) -> anyhow::Result<()> {
        self.write(letters).with_context(|| {
            format!("save dead letters to {} (--save); they stay in their queue", self.path.display())
        })
    }

    fn write(&mut self, letters: &[Taken]) -> anyhow::Result<()> {
        let mut lines = Vec::new();
        for letter in letters {
            serde_json::to_writer(&mut lines, &self.line(letter))?;
            lines.push(b'\n');
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        file.write_all(&lines)?;
        file.sync_all()?;
        Ok(())
    }

    fn line<'a>(&self, letter: &'a Taken) -> Line<'a> {
        let Taken { body, routing_key, envelope, .. } = letter;
        let text = std::str::from_utf8(body).ok();
        Line {
            id: id(letter),
            reason: self.kind.reason(letter, &self.broker),
            attempts: envelope.attempts(),
            redrives: envelope.redrives(),
            first_failed_at: envelope.first_failed_at(),
            routing_key: envelope.original_routing_key().unwrap_or_else(|| routing_key.clone()),
            r#type: envelope.kind(),
            headers: envelope.headers_json(),
            body: text,
            body_base64: text.is_none().then(|| BASE64_STANDARD.encode(body)),
        }
    }
}

/// Opens the file to append to it, and flushes its name to disk as well.
fn open(path: &Path) -> anyhow::Result<File> {
    let file = append_to(path)?;
    if !file.metadata()?.is_file() {
        bail!("it is not a plain file");
    }
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // Some file systems cannot flush a folder.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(file)
}
