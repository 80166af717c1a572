//! The tokens as headers. Outside this module a token is a number.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::config::UsageError;

/// The number of a token, or of the lack of one: without any token, requests are made without one as number 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenNumber(u16);

impl TokenNumber {
    /// The token at `index` of the configured ones, from 0.
    pub fn at(index: usize) -> Self {
        Self(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Its place among the configured ones, from 0.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// As people count: from 1.
impl fmt::Display for TokenNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u32::from(self.0) + 1)
    }
}

/// The value of the header `Authorization` for each token.
pub(super) struct Authorizations(Vec<HeaderValue>);

impl Authorizations {
    /// Of these tokens, by their numbers.
    ///
    /// # Errors
    /// [`UsageError`] when one cannot be sent in a header; shows nothing of it.
    pub(super) fn new(tokens: &[SecretString]) -> Result<Self, UsageError> {
        tokens.iter().map(authorization).collect::<Result<_, _>>().map(Self)
    }

    /// The number of tokens.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// None for a number without a token.
    pub(super) fn of(&self, token: TokenNumber) -> Option<&HeaderValue> {
        self.0.get(token.index())
    }
}

fn authorization(token: &SecretString) -> Result<HeaderValue, UsageError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret().trim()))
        .map_err(|_| UsageError("GITHUB_TOKEN: must be one line of plain ASCII".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_marked_sensitive_and_one_that_no_header_can_carry_is_refused_without_showing_it() {
        let headers = Authorizations::new(&["ghp_secret\n".into(), "other".into()]).unwrap();
        let first = headers.of(TokenNumber::default()).unwrap();
        assert_eq!(first, "Bearer ghp_secret");
        assert!(first.is_sensitive() && !format!("{first:?}").contains("secret"));
        assert_eq!(headers.of(TokenNumber::at(1)).unwrap(), "Bearer other");
        assert_eq!(headers.of(TokenNumber::at(2)), None);
        let error = Authorizations::new(&["two\nlines".into()]).err().unwrap().to_string();
        assert!(error.contains("GITHUB_TOKEN") && !error.contains("lines\""), "{error}");
    }

    #[test]
    fn numbers_are_shown_from_1() {
        assert_eq!((TokenNumber::at(0).to_string(), TokenNumber::at(1).index()), ("1".into(), 1));
    }
}
