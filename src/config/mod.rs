//! The configuration: flags, environment, `.env`, defaults, in this order of precedence. Defaults live here only.

mod address;
mod amqp_url;
mod dashboard;
mod dead;
mod environment;
mod event_log;
mod fetcher;
mod kind;
mod loader;
mod mirror;
mod position;
mod redis_url;
mod replay;
mod shared;
mod standalone;
mod tls;
mod tokens;
mod values;
mod what;

pub use address::Namespace;
pub use amqp_url::{AmqpNode, AmqpUrl};
pub use dashboard::{Access, AccessArgs, DashboardArgs, ServeArgs, TailArgs, TailFormat};
pub use dead::{DeadAction, DeadArgs};
pub use environment::Environment;
pub use event_log::EventLog;
pub use fetcher::{FetchArgs, FetcherArgs};
pub use kind::undocumented;
pub use loader::{Bots, LoadArgs, LoaderArgs, Retention, ScoreWeight};
pub use mirror::{BaseUrl, MirrorArgs};
pub use position::Position;
pub use redis_url::{RedisKind, RedisUrl};
pub use replay::{
    ArchiveArgs, GapsArgs, GhArchiveArgs, ListFormat, PaceArgs, PublishArgs, ReplayArgs, ReplaySource,
    SelectArgs, StateArgs,
};
pub use shared::{LogFormat, ServerArgs, TelemetryArgs};
pub use standalone::{DashboardListen, StandaloneArgs};
pub use tls::{Tls, TlsArgs};
pub use tokens::github_tokens;
pub use values::{address, number};
pub use what::What;

pub use crate::source::Source;

/// The user's mistake: the program ends with exit code 2 and this text.
///
/// The text has the flag or variable, the value (never a secret), and the allowed values.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);
