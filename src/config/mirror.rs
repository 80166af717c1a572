//! Where GH Archive's files are.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::UsageError;

/// Where GH Archive's files are.
#[derive(clap::Args)]
pub struct MirrorArgs {
    /// GH Archive, a mirror of it, or a folder with its files
    #[arg(
        long,
        env = "GHARCHIVE_BASE_URL",
        hide_env_values = true,
        default_value = "https://data.gharchive.org",
        value_name = "URL|FOLDER"
    )]
    base_url: String,
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
    /// The checked address. Not checked by clap, whose message would print a password in it.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag and the variable.
    pub fn base_url(&self) -> Result<BaseUrl, UsageError> {
        let wrong = |what: String| UsageError(format!("--base-url (GHARCHIVE_BASE_URL): {what}"));
        let folder = match Url::parse(&self.base_url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                if url.password().is_some() || !url.username().is_empty() {
                    return Err(wrong("must not hold a user or password".into()));
                }
                return Ok(BaseUrl::Web(url));
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
            _ => PathBuf::from(&self.base_url),
        };
        if !folder.is_dir() {
            return Err(wrong(format!(
                "no folder {} and no URL such as https://data.gharchive.org",
                folder.display()
            )));
        }
        Ok(BaseUrl::Folder(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_a_web_server_or_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let parse = |text: &str| MirrorArgs { base_url: text.into() }.base_url();
        assert_eq!(parse("http://mirror/x/").unwrap(), BaseUrl::Web("http://mirror/x/".parse().unwrap()));
        assert_eq!(parse(path).unwrap(), BaseUrl::Folder(folder.path().into()));
        assert_eq!(parse(&format!("file://{path}")).unwrap(), BaseUrl::Folder(folder.path().into()));
        for bad in ["", "/no/such/folder", "ftp://host/x", "https://user:hunter2@host/"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("--base-url") && !error.contains("hunter2"), "{error}");
        }
    }
}
