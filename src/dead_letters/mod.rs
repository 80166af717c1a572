//! Dead letters: the failure that a message records, its own queue, and groups of letters by reason. `replay` and the
//! dashboard use it. Pure.

mod groups;
mod letter;

pub(crate) use groups::{Group, Groups};
pub(crate) use letter::{Origin, id, origin, reason};
