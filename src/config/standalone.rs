//! Options of the one-process pipeline.

use super::{FetchArgs, LoadArgs, ServerArgs, TelemetryArgs};

/// The whole pipeline in one process: fetcher and loaders, for one machine.
#[derive(clap::Parser)]
#[command(name = "standalone", version)]
pub struct StandaloneArgs {
    #[command(flatten)]
    pub servers: ServerArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(flatten)]
    pub fetch: FetchArgs,
    #[command(flatten)]
    pub load: LoadArgs,

    /// Loaders to run (1 to 64)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64), value_name = "N")]
    pub loaders: u8,

    /// Show events on stdout as they load and, every few seconds, the hour's top developers
    #[arg(long)]
    pub watch: bool,
}
