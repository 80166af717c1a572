//! The core stands alone: what an extra does, and what another fetcher does, costs no event.

mod archive;
mod memory;
mod missing_queue;
