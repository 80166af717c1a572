//! GitHub's public events through RabbitMQ into Redis: countable, watchable, replayable.
//!
//! ```text
//! GitHub /events ──fetcher──▶ exchange ──▶ load queue ──loader × N──▶ Redis (one Lua script per event)
//!                                             │
//!                                             └─▶ retry queues, dead letters
//! ```
//!
//! The fetcher publishes every event as GitHub sent it, byte for byte, and remembers it only after RabbitMQ's
//! confirm. Loaders consume, run one idempotent script per event, and acknowledge only after the load. Delivery is at
//! least once; the script's mark makes the effects exactly once per retention.
//!
//! Modules in reading order: [`event`] (the shape of GitHub's JSON), [`github`] (polling it), [`broker`]
//! (RabbitMQ), [`store`] (Redis), then the stages [`fetcher`], [`loader`], [`replay`] (with [`gharchive`]), [`dashboard`], [`watch`] and
//! [`standalone`]. [`program`], [`config`], [`health`], [`retry`] and [`telemetry`] carry them. The package `github-event-etl-simulator` stands in for GitHub.

pub mod broker;
pub mod config;
pub mod dashboard;
mod dead_letters;
mod duration;
pub mod event;
pub mod fetcher;
pub mod gap;
pub mod gharchive;
pub mod github;
mod handshake;
pub mod health;
mod http;
pub mod lack;
pub mod loader;
pub mod program;
pub mod replay;
pub mod retry;
pub mod source;
pub mod standalone;
pub mod status;
pub mod store;
pub mod telemetry;
pub mod terminal;
mod token_bucket;
pub mod watch;
