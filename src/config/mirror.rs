//! Where GH Archive's files are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::UsageError;
use super::values::{DAY, duration};

/// The most mirrors of one replay: which of them have an event is remembered in the bits of one byte.
const MIRRORS_MAX: usize = 8;

/// Where GH Archive's files are.
#[derive(clap::Args)]
pub struct MirrorArgs {
    /// GH Archive, a mirror of it, or a folder with its files. Repeatable, or several separated by commas, at most 8: every event
    /// that one of them has is published once
    #[arg(
        long,
        env = "GHARCHIVE_BASE_URL",
        hide_env_values = true,
        default_value = "https://data.gharchive.org",
        value_name = "URL|FOLDER"
    )]
    base_url: Vec<String>,

    /// How long an hour waits for a mirror that does not answer while others do (1s to 1day). From a mirror that answers slowly, it
    /// waits ten times as long
    #[arg(long, default_value = "1m", value_parser = duration(Duration::from_secs(1), DAY, "1m"), value_name = "DURATION")]
    pub mirror_patience: Duration,
}

/// Where GH Archive's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseUrl {
    /// Below this URL.
    Web(Url),
    /// In this folder.
    Folder(PathBuf),
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => url.fmt(f),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl MirrorArgs {
    /// The checked addresses, each once, at least one. Not checked by clap, whose message would print a password in them.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag and the variable.
    pub fn base_urls(&self) -> Result<Vec<BaseUrl>, UsageError> {
        let mut all = Vec::new();
        for text in self.base_url.iter().flat_map(|given| texts(given)) {
            let base = BaseUrl::parse(text)?;
            if !all.contains(&base) {
                all.push(base);
            }
        }
        if all.len() > MIRRORS_MAX {
            return Err(wrong(format!("names {} mirrors: {MIRRORS_MAX} at most", all.len())));
        }
        Ok(all)
    }
}

/// The addresses in a value of the flag or the variable. The name of a folder may hold a comma.
fn texts(given: &str) -> Vec<&str> {
    if Path::new(given).is_dir() { vec![given] } else { given.split(',').map(str::trim).collect() }
}

fn wrong(what: String) -> UsageError {
    UsageError(format!("--base-url (GHARCHIVE_BASE_URL): {what}"))
}

impl BaseUrl {
    fn parse(text: &str) -> Result<Self, UsageError> {
        let folder = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                if url.password().is_some() || !url.username().is_empty() {
                    return Err(wrong("must not hold a user or password".into()));
                }
                return Ok(Self::Web(url));
            }
            Ok(url) if url.scheme() == "file" => url.to_file_path().map_err(|()| {
                wrong("a file:// URL must hold a whole path, as in file:///var/gharchive".into())
            })?,
            Ok(url) if url.has_host() => {
                return Err(wrong(format!(
                    "must be http://, https:// or a folder (is '{}://')",
                    url.scheme()
                )));
            }
            _ => PathBuf::from(text),
        };
        if !folder.is_dir() {
            return Err(wrong(format!(
                "no folder {} and no URL such as https://data.gharchive.org",
                folder.display()
            )));
        }
        Ok(Self::Folder(folder))
    }

    /// Its name in the output: without a query, which may hold a signature, and without a slash at the end.
    pub fn shown(&self) -> String {
        match self {
            Self::Web(url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.as_str().trim_end_matches('/').to_owned()
            }
            Self::Folder(path) => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Vec<BaseUrl>, UsageError> {
        let base_url = texts.iter().map(ToString::to_string).collect();
        MirrorArgs { base_url, mirror_patience: Duration::ZERO }.base_urls()
    }

    #[test]
    fn a_base_url_is_a_web_server_or_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(
            parse(&["http://mirror/x/"]).unwrap(),
            [BaseUrl::Web("http://mirror/x/".parse().unwrap())]
        );
        assert_eq!(parse(&[path]).unwrap(), [BaseUrl::Folder(folder.path().into())]);
        assert_eq!(parse(&[&format!("file://{path}")]).unwrap(), [BaseUrl::Folder(folder.path().into())]);
        for bad in ["", "/no/such/folder", "ftp://host/x", "https://user:hunter2@host/", "http://a/,"] {
            let error = parse(&[bad]).unwrap_err().to_string();
            assert!(error.contains("--base-url") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn several_mirrors_are_flags_or_separated_by_commas_and_each_counts_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a, b");
        std::fs::create_dir(&folder).unwrap();
        let shown =
            |texts: &[&str]| -> Vec<String> { parse(texts).unwrap().iter().map(BaseUrl::shown).collect() };
        assert_eq!(
            shown(&["http://a/x/?key=1, http://b", "http://c/", "http://b/"]),
            ["http://a/x", "http://b", "http://c"]
        );
        assert_eq!(shown(&[folder.to_str().unwrap()]), [folder.to_str().unwrap()]);
        let many: Vec<String> = (0..9).map(|n| format!("http://m{n}/")).collect();
        assert!(parse(&[&many[..8].join(",")]).is_ok());
        assert!(parse(&[&many.join(",")]).unwrap_err().to_string().contains("8 at most"));
    }
}
