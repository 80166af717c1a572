//! Why a body is not an event.

use super::BODY_BYTES_MAX;

/// Why a body is not an event. Its text goes into the dead letter's `x-etl-reason`; it never quotes the body.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAnEvent {
    #[error("empty: the body has no bytes")]
    Empty,
    #[error("too-large: {bytes} bytes, at most {BODY_BYTES_MAX} are taken")]
    TooLarge { bytes: usize },
    #[error("too-deep: nested beyond {}", super::nesting::DEPTH_MAX)]
    TooDeep,
    #[error("not-json: {0}")]
    NotJson(String),
    #[error("not-an-object: an event is a JSON object")]
    NotAnObject,
    #[error("too-many-fields: at most {} fields are taken", super::fields::FIELDS_MAX)]
    TooManyFields,
    #[error("duplicate-field: a field stands twice")]
    DuplicateField,
    #[error("missing-field: {0}")]
    Missing(&'static str),
    #[error("invalid-field: {0} {1}")]
    Invalid(&'static str, &'static str),
}

impl NotAnEvent {
    /// A short stable name for the kind of fault, fit for a metric's label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too-large",
            Self::TooDeep => "too-deep",
            Self::NotJson(_) => "not-json",
            Self::NotAnObject => "not-an-object",
            Self::TooManyFields => "too-many-fields",
            Self::DuplicateField => "duplicate-field",
            Self::Missing(_) => "missing-field",
            Self::Invalid(..) => "invalid-field",
        }
    }
}
