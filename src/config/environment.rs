//! Variables of the process, the `.env` file and `*_FILE` secrets, read without changing the process's environment.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use secrecy::SecretString;

use super::UsageError;

/// The variables the program sees: the process's own, then `.env` in the working directory.
///
/// An empty variable counts as unset, because Compose passes `NAME=` for one that is missing.
pub struct Environment {
    dotenv: HashMap<String, String>,
    process: fn(&str) -> Option<OsString>,
}

impl Environment {
    /// Reads `.env` in the working directory, if there is one.
    ///
    /// # Errors
    /// [`UsageError`] when the file is there and cannot be read or parsed; the message holds no value from it.
    pub fn load() -> Result<Self, UsageError> {
        Self::load_from(Path::new(".env"), |name| std::env::var_os(name))
    }

    fn load_from(path: &Path, process: fn(&str) -> Option<OsString>) -> Result<Self, UsageError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(UsageError(format!(
                    "cannot read .env: {error}; it must be a readable file of text"
                )));
            }
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            UsageError(format!("cannot read .env: line {line} is not UTF-8 text"))
        })?;
        Ok(Self { dotenv: parse(text)?, process })
    }

    /// The value of `name`, else the contents of the file that `<name>_FILE` points to.
    ///
    /// # Errors
    /// [`UsageError`] when the value must come from `<name>_FILE` and that is empty, or its file cannot be read or is empty; or when a
    /// variable is not text.
    pub fn lookup(&self, name: &str) -> Result<Option<String>, UsageError> {
        let file = format!("{name}_FILE");
        // The process's own variables come first, whichever form they have.
        if let Some(value) = self.of_process(name)? {
            return Ok(Some(value));
        }
        let path = match (self.of_process(&file)?, self.of_dotenv(name), self.of_dotenv(&file)) {
            (Some(path), _, _) | (None, None, Some(path)) => path,
            (None, None, None) if self.is_empty(&file) => {
                return Err(UsageError(format!(
                    "{file}: it is empty; it must name the file that holds the value, or be unset"
                )));
            }
            (None, value, _) => return Ok(value),
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| UsageError(format!("{file}: cannot read {path}: {error}")))?;
        let value = text.trim_end_matches(['\r', '\n']);
        if value.is_empty() {
            // Whoever names a file means it: without what should be in it, a dashboard would be open, a token missing.
            return Err(UsageError(format!(
                "{file}: {path} is empty; it must hold the value, or {file} be unset"
            )));
        }
        Ok(Some(value.to_owned()))
    }

    /// Like [`Self::lookup`], wrapped so that it cannot be printed by accident.
    ///
    /// # Errors
    /// As [`Self::lookup`].
    pub fn secret(&self, name: &str) -> Result<Option<SecretString>, UsageError> {
        Ok(self.lookup(name)?.map(SecretString::from))
    }

    /// An environment without a `.env` file.
    #[cfg(test)]
    pub(super) fn of(process: fn(&str) -> Option<OsString>) -> Self {
        Self { dotenv: HashMap::new(), process }
    }

    /// The same with one more variable in its `.env` file.
    #[cfg(test)]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.dotenv.insert(name.to_owned(), value.to_owned());
        self
    }

    /// True when the process itself has a non-empty `name` (which clap reads on its own).
    pub(crate) fn in_process(&self, name: &str) -> bool {
        (self.process)(name).is_some_and(|value| !value.is_empty())
    }

    /// True for a variable that is set and empty.
    fn is_empty(&self, name: &str) -> bool {
        let in_dotenv = || self.dotenv.get(name).is_some_and(String::is_empty);
        (self.process)(name).map_or_else(in_dotenv, |value| value.is_empty())
    }

    fn of_process(&self, name: &str) -> Result<Option<String>, UsageError> {
        let value = (self.process)(name).filter(|value| !value.is_empty());
        let text = value.map(OsString::into_string).transpose();
        text.map_err(|_| UsageError(format!("{name}: its value is not UTF-8 text")))
    }

    fn of_dotenv(&self, name: &str) -> Option<String> {
        self.dotenv.get(name).cloned().filter(|value| !value.is_empty())
    }
}

/// The variables of a `.env` file. An error has the number of the line and not its text, which may hold a secret.
fn parse(text: &str) -> Result<HashMap<String, String>, UsageError> {
    let wrong = |error| match error {
        dotenvy::Error::LineParse(entry, _) => {
            let line = line_of(text, &entry);
            UsageError(format!(
                "cannot parse .env: line {line} is not NAME=value, with a value in quotes where it has spaces"
            ))
        }
        error => UsageError(format!("cannot read .env: {error}")),
    };
    dotenvy::from_read_iter(text.as_bytes()).map(|entry| entry.map_err(wrong)).collect()
}

/// The number of the line on which `entry` begins. It may have several, when a quote is not closed.
fn line_of(text: &str, entry: &str) -> usize {
    let entry = entry.trim();
    let mut place = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let begins = text[place..].trim_start_matches([' ', '\t']).strip_prefix(entry);
        if begins.is_some_and(|behind| {
            behind.trim_start_matches([' ', '\t', '\r']).starts_with('\n') || behind.trim().is_empty()
        }) {
            return number;
        }
        place += line.len();
    }
    text.lines().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_dotenv(text: &str, process: fn(&str) -> Option<OsString>) -> Result<Environment, UsageError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        std::fs::write(&path, text).unwrap();
        Environment::load_from(&path, process)
    }

    #[test]
    fn the_process_wins_over_dotenv_and_empty_counts_as_unset() {
        let env = with_dotenv("A=dotenv\nB=dotenv\nC=\n", |name| match name {
            "A" => Some("process".into()),
            "B" => Some(OsString::new()),
            _ => None,
        })
        .unwrap();
        assert_eq!(env.lookup("A").unwrap().as_deref(), Some("process"));
        assert_eq!(env.lookup("B").unwrap().as_deref(), Some("dotenv"));
        assert_eq!(env.lookup("C").unwrap(), None);
    }

    #[test]
    fn a_secret_may_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "s3cret\n").unwrap();
        let env = with_dotenv(&format!("GITHUB_TOKEN_FILE={}\n", file.display()), |_| None).unwrap();
        assert_eq!(env.lookup("GITHUB_TOKEN").unwrap().as_deref(), Some("s3cret"));
    }

    #[test]
    fn the_process_wins_in_whichever_form() {
        let env =
            with_dotenv("A=dotenv\n", |name| (name == "A_FILE").then(|| "/no/such/file".into())).unwrap();
        assert!(env.lookup("A").unwrap_err().to_string().contains("/no/such/file"));
    }

    #[test]
    fn a_missing_secret_file_and_a_broken_dotenv_are_named_without_values() {
        let env = with_dotenv("X_FILE=/no/such/file\n", |_| None).unwrap();
        assert!(env.lookup("X").unwrap_err().to_string().contains("X_FILE: cannot read /no/such/file"));
        for (text, line) in [
            ("GITHUB_TOKEN hunter2\n", "line 1 "),
            ("# a\n\nA='x\ny'\nB=1 # hunter2\n  hunter2 3\nC=2", "line 6 "),
            ("A=1\nB=\"hunter2\nC=2\n", "line 2 "),
            ("A=1\nB=hunter2 hunter2", "line 2 "),
        ] {
            let error = with_dotenv(text, |_| None).err().unwrap().to_string();
            assert!(
                error.contains(".env") && error.contains(line) && !error.contains("hunter2"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_named_and_empty_is_a_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "\n").unwrap();
        let env = with_dotenv(&format!("X_FILE={}\n", file.display()), |_| None).unwrap();
        let error = env.lookup("X").unwrap_err().to_string();
        assert!(error.contains("X_FILE: ") && error.contains("is empty"), "{error}");
    }

    #[test]
    fn a_variable_that_must_name_a_file_and_is_empty_is_a_mistake_unless_the_value_is_elsewhere() {
        let empty = |text: &str| with_dotenv(text, |name| (name == "X_FILE").then(OsString::new)).unwrap();
        for env in [empty(""), with_dotenv("X_FILE=\n", |_| None).unwrap()] {
            let error = env.lookup("X").unwrap_err().to_string();
            assert!(error.starts_with("X_FILE: it is empty"), "{error}");
        }
        assert_eq!(empty("X=value\n").lookup("X").unwrap().as_deref(), Some("value"));
    }

    #[test]
    fn a_variable_that_is_not_text_is_named() {
        use std::os::unix::ffi::OsStringExt as _;
        let env = with_dotenv("A=dotenv\n", |_| Some(OsString::from_vec(vec![0xff]))).unwrap();
        assert!(env.lookup("A").unwrap_err().to_string().starts_with("A: "));
    }
}
