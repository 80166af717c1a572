//! Dead letters: what a message says about its failure, where it belongs, and many of them grouped by reason. `replay` and the
//! dashboard use it. Pure.

mod groups;
mod letter;

pub(crate) use groups::{Group, Groups};
pub(crate) use letter::{Origin, id, origin, reason};
