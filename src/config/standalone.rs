//! Options of the one-process pipeline.

use std::net::SocketAddr;

use super::dashboard::LISTEN_DEFAULT;
use super::values::number;
use super::{AccessArgs, FetchArgs, LoadArgs, ServerArgs, TelemetryArgs};

/// The whole pipeline in one process: fetcher, loaders and dashboard, for one machine.
///
/// GITHUB_TOKEN (or GITHUB_TOKEN_FILE) raises GitHub's limit from 60 to 5,000 requests an hour. GITHUB_TOKENS (or
/// GITHUB_TOKENS_FILE) has more tokens, between commas or one a line.
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
    #[arg(long, default_value_t = 1, value_parser = number(1_u8, 64), value_name = "N")]
    pub loaders: u8,

    /// Serve the dashboard at this address; port 0 takes a free one, off serves none. Beyond this machine a token is needed:
    /// DASHBOARD_TOKEN or DASHBOARD_TOKEN_FILE
    #[arg(long, env = "DASHBOARD_LISTEN", default_value = LISTEN_DEFAULT, value_name = "IP:PORT|off")]
    pub dashboard_listen: DashboardListen,

    #[command(flatten)]
    pub dashboard_access: AccessArgs,

    /// Show events on stdout as they load and, every few seconds, the hour's top developers
    #[arg(long)]
    pub watch: bool,
}

/// Where the dashboard is served, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DashboardListen(pub Option<SocketAddr>);

impl std::str::FromStr for DashboardListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| "must be IP:PORT, such as 127.0.0.1:8080, or off".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dashboard_has_an_address_or_is_off() {
        assert_eq!("off".parse(), Ok(DashboardListen(None)));
        assert_eq!("[::1]:0".parse(), Ok(DashboardListen(Some("[::1]:0".parse().unwrap()))));
        assert!("8080".parse::<DashboardListen>().is_err());
    }
}
