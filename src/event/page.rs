//! A page of the Events API: an array of events.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most elements of a page. GitHub sends at most 100; the limit bounds memory if another server answers in its place.
const ELEMENTS_MAX: usize = 1000;

/// Why a response body is not a page of events.
#[derive(Debug, thiserror::Error)]
#[error("the body is not a page, a JSON array of at most {ELEMENTS_MAX} events: {0}")]
pub struct NotAPage(#[from] serde_json::Error);

/// The elements of a page, each as the exact bytes GitHub sent.
///
/// # Errors
/// [`NotAPage`] when the body is not a complete JSON array, or has too many elements. Elements that are not
/// events are no error.
pub fn split_page(body: &[u8]) -> Result<Vec<&[u8]>, NotAPage> {
    let Elements(elements) = serde_json::from_slice(body)?;
    Ok(elements)
}

struct Elements<'a>(Vec<&'a [u8]>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;
        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::with_capacity(100);
                while let Some(element) = seq.next_element::<&RawValue>()? {
                    if elements.len() == ELEMENTS_MAX {
                        return Err(A::Error::custom("too many elements"));
                    }
                    elements.push(element.get().as_bytes());
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(ElementsVisitor)
    }
}
