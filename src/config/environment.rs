//! Variables of the process, the `.env` file and `*_FILE` secrets, read without changing the process's environment.

use std::collections::HashMap;
use std::path::Path;

use secrecy::SecretString;

use super::UsageError;

/// The variables the program sees: the process's own, then `.env` in the working directory.
///
/// An empty variable counts as unset, because Compose passes `NAME=` for one that is missing.
pub struct Environment {
    dotenv: HashMap<String, String>,
    process: fn(&str) -> Option<String>,
}

impl Environment {
    /// Reads `.env` in the working directory, if there is one.
    ///
    /// # Errors
    /// [`UsageError`] when the file is there and cannot be read or parsed; the message holds no value from it.
    pub fn load() -> Result<Self, UsageError> {
        Self::load_from(Path::new(".env"), |name| std::env::var(name).ok())
    }

    fn load_from(path: &Path, process: fn(&str) -> Option<String>) -> Result<Self, UsageError> {
        let mut dotenv = HashMap::new();
        if path.exists() {
            let lines = dotenvy::from_path_iter(path)
                .map_err(|_| UsageError("cannot read .env: check that it is a readable file".into()))?;
            for (index, line) in lines.enumerate() {
                // The library's error quotes the line, which may hold a secret: name its place instead.
                let (name, value) = line.map_err(|_| {
                    UsageError(format!("cannot parse .env: entry {} is not NAME=value", index + 1))
                })?;
                dotenv.insert(name, value);
            }
        }
        Ok(Self { dotenv, process })
    }

    /// The value of `name`, else the contents of the file that `<name>_FILE` points to.
    ///
    /// # Errors
    /// [`UsageError`] when `<name>_FILE` is set and that file cannot be read.
    pub fn lookup(&self, name: &str) -> Result<Option<String>, UsageError> {
        let file = format!("{name}_FILE");
        // The process's own variables come first, whichever form they have.
        if let Some(value) = self.of_process(name) {
            return Ok(Some(value));
        }
        let path = match (self.of_process(&file), self.of_dotenv(name), self.of_dotenv(&file)) {
            (Some(path), _, _) | (None, None, Some(path)) => path,
            (None, value, _) => return Ok(value),
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| UsageError(format!("{name}_FILE: cannot read {path}: {error}")))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()).filter(|value| !value.is_empty()))
    }

    /// Like [`Self::lookup`], wrapped so that it cannot be printed by accident.
    ///
    /// # Errors
    /// As [`Self::lookup`].
    pub fn secret(&self, name: &str) -> Result<Option<SecretString>, UsageError> {
        Ok(self.lookup(name)?.map(SecretString::from))
    }

    /// True when the process itself has a non-empty `name` (which clap reads on its own).
    pub(crate) fn in_process(&self, name: &str) -> bool {
        self.of_process(name).is_some()
    }

    fn of_process(&self, name: &str) -> Option<String> {
        (self.process)(name).filter(|value| !value.is_empty())
    }

    fn of_dotenv(&self, name: &str) -> Option<String> {
        self.dotenv.get(name).cloned().filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_dotenv(text: &str, process: fn(&str) -> Option<String>) -> Result<Environment, UsageError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        std::fs::write(&path, text).unwrap();
        Environment::load_from(&path, process)
    }

    #[test]
    fn the_process_wins_over_dotenv_and_empty_counts_as_unset() {
        let env = with_dotenv("A=dotenv\nB=dotenv\nC=\n", |name| match name {
            "A" => Some("process".into()),
            "B" => Some(String::new()),
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
            with_dotenv("A=dotenv\n", |name| (name == "A_FILE").then(|| "/no/such/file".to_owned())).unwrap();
        assert!(env.lookup("A").unwrap_err().to_string().contains("/no/such/file"));
    }

    #[test]
    fn a_missing_secret_file_and_a_broken_dotenv_are_named_without_values() {
        let env = with_dotenv("X_FILE=/no/such/file\n", |_| None).unwrap();
        assert!(env.lookup("X").unwrap_err().to_string().contains("X_FILE: cannot read /no/such/file"));
        let error = with_dotenv("GITHUB_TOKEN hunter2\n", |_| None).err().unwrap().to_string();
        assert!(error.contains(".env") && !error.contains("hunter2"), "{error}");
    }
}
