//! The tokens for GitHub's API. They come from the environment only, so that no command line shows one.

use secrecy::{ExposeSecret, SecretString};

use super::{Environment, UsageError};

const ONE: &str = "GITHUB_TOKEN";
const SEVERAL: &str = "GITHUB_TOKENS";
/// More are a mistake, such as the wrong file: each has a quota of 5,000 requests an hour, and requests are made one at a time.
const TOKENS_MAX: usize = 100;

/// The tokens in `GITHUB_TOKEN` and `GITHUB_TOKENS`, or in the files that `GITHUB_TOKEN_FILE` and `GITHUB_TOKENS_FILE` name. Their
/// order is that of their numbers: `GITHUB_TOKEN` first. A token that is there twice counts once. Empty without any.
///
/// # Errors
/// [`UsageError`] that names the variable and shows no part of a token.
pub fn github_tokens(environment: &Environment) -> Result<Vec<SecretString>, UsageError> {
    let one = environment.lookup(ONE)?.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    let several = environment.lookup(SEVERAL)?.map(|text| split(&text)).transpose()?.unwrap_or_default();
    let mut tokens: Vec<SecretString> = Vec::new();
    for (variable, token) in one.map(|one| (ONE, one)).into_iter().chain(several) {
        if !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(UsageError(format!("{variable}: a token must be one word of plain ASCII")));
        }
        if !tokens.iter().any(|known| known.expose_secret() == token) {
            tokens.push(token.into());
        }
    }
    if tokens.len() > TOKENS_MAX {
        return Err(UsageError(format!(
            "{SEVERAL}: {} tokens; at most {TOKENS_MAX} are allowed",
            tokens.len()
        )));
    }
    Ok(tokens)
}

/// The tokens in `text`: between commas, or one a line. Empty lines and lines that begin with `#` are left out.
fn split(text: &str) -> Result<Vec<(&'static str, String)>, UsageError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let tokens = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty());
    let tokens: Vec<_> = tokens.map(|token| (SEVERAL, token.to_owned())).collect();
    if tokens.is_empty() {
        return Err(UsageError(format!(
            "{SEVERAL}: it holds no token; it must hold tokens between commas, or one a line, or be unset"
        )));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(of_process: fn(&str) -> Option<std::ffi::OsString>) -> Result<Vec<String>, String> {
        let environment = Environment::of(of_process);
        let tokens = github_tokens(&environment).map_err(|error| error.to_string())?;
        Ok(tokens.iter().map(|token| token.expose_secret().to_owned()).collect())
    }

    #[test]
    fn both_variables_add_up_and_a_token_counts_once() {
        assert_eq!(tokens(|_| None).unwrap(), Vec::<String>::new());
        assert_eq!(tokens(|name| (name == ONE).then(|| " a\n".into())).unwrap(), ["a"]);
        let both = tokens(|name| match name {
            ONE => Some("b".into()),
            SEVERAL => Some("a, b,,\n# of carol, the second\n c\r\n".into()),
            _ => None,
        });
        assert_eq!(both.unwrap(), ["b", "a", "c"]);
    }

    #[test]
    fn an_error_names_the_variable_and_shows_no_token() {
        for (several, words) in
            [("# none\n,", "holds no token"), ("x3cret x3cret,b", "one word"), ("ä3cret", "one word")]
        {
            let environment = Environment::of(|_| None).with(SEVERAL, several);
            let error = github_tokens(&environment).unwrap_err().to_string();
            assert!(error.starts_with("GITHUB_TOKENS: ") && error.contains(words), "{error}");
            assert!(!error.contains("3cret"), "{error}");
        }
        let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
        let environment = Environment::of(|_| None).with(SEVERAL, &many.join(","));
        assert!(github_tokens(&environment).unwrap_err().to_string().contains("at most 100"));
        let error = tokens(|name| (name == ONE).then(|| "3cret\n3cret".into())).unwrap_err();
        assert!(error.starts_with("GITHUB_TOKEN: ") && !error.contains("3cret"), "{error}");
    }
}
