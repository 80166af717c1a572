//! The dashboard: what it shows, to whom, and what it says when a server is away.

mod away;
mod routes;
mod security;
mod sources;
mod standalone;
mod stream;
mod tail;
