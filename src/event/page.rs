//! A page of the Events API: an array of events.

use serde_json::value::RawValue;

/// Why a response body is not a page of events.
#[derive(Debug, thiserror::Error)]
#[error("the body is not a JSON array: {0}")]
pub struct NotAPage(#[from] serde_json::Error);

/// The elements of a page, each as the exact bytes GitHub sent.
///
/// # Errors
/// [`NotAPage`] when the body is not a whole JSON array. Elements that are not events are not this function's concern.
pub fn split_page(body: &[u8]) -> Result<Vec<&[u8]>, NotAPage> {
    let elements: Vec<&RawValue> = serde_json::from_slice(body)?;
    Ok(elements.into_iter().map(|element| element.get().as_bytes()).collect())
}
