//! A stand-in for GitHub's Events API: for demonstrations without internet, for benchmarks, and the tests' GitHub.
//!
//! It answers as GitHub documents and does (pages, links, ETags, quotas), with generated events ([`Generator`]) or recorded ones.
//! On request it imitates faults ([`Fault`]). [`SimulateArgs`] describes how events enter the feed. `GET /simulator/stats` reports
//! what was served ([`Served`]).
//!
//! A test runs it in its own process:
//!
//! ```no_run
//! # use github_event_etl_simulator::{SimulateArgs, Simulator};
//! # async fn test() -> anyhow::Result<()> {
//! let simulator = Simulator::new(SimulateArgs { per_poll: Some(150), ..SimulateArgs::default() })?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let shutdown = tokio_util::sync::CancellationToken::new();
//! tokio::spawn({ let (simulator, shutdown) = (simulator.clone(), shutdown.clone());
//!     async move { simulator.run(listener, shutdown).await } });
//! // … start a fetcher …
//! let served = simulator.until(|served| served.with_status(304) > 0).await;
//! assert_eq!(served.events.missed, 0);
//! # Ok(()) }
//! ```

mod answer;
mod api;
mod asked;
mod canned;
mod config;
mod fault;
mod feed;
mod generator;
mod http;
mod misbehave;
mod opening;
mod page;
mod quota;
mod recorded;
mod served;
mod world;

pub use config::{SimulateArgs, SimulatorArgs, WorldArgs};
pub use fault::Fault;
pub use feed::Tally;
pub use generator::Generator;
pub use served::{Seen, Served};
pub use world::{Entered, SourceSeen, State, Sum};

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::request::Parts;
use chrono::{TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use answer::Answer;
use api::Api;
use asked::Asked;
use fault::Schedule;
use quota::Quotas;
use world::World;

/// How often events enter that are due by the clock, when nobody asks.
const TICK: Duration = Duration::from_millis(100);
/// How long clients may take for the rest of an answer at shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// The simulated GitHub. Cheap to clone; all clones are the same GitHub.
#[derive(Clone)]
pub struct Simulator {
    // Held for one answer, which is computed without waiting.
    api: Arc<Mutex<Api>>,
    /// Told after each request.
    changes: watch::Sender<()>,
}

impl Simulator {
    /// Fills the feed as `args` say, reading recorded events whole.
    ///
    /// # Errors
    /// [`UsageError`](github_event_etl::config::UsageError) for a file of events that cannot be read or is not JSON, and for options that contradict each other.
    pub fn new(args: SimulateArgs) -> anyhow::Result<Self> {
        let window_s = TimeDelta::seconds(args.rate_limit_window.into());
        let api = Api {
            feed: opening::feed(&args)?,
            world: opening::world(&args),
            quotas: Quotas::new(args.rate_limit, window_s),
            schedule: Schedule::new(args.faults),
            served: Served::default(),
            poll_interval_s: args.poll_interval.into(),
        };
        Ok(Self { api: Arc::new(Mutex::new(api)), changes: watch::Sender::new(()) })
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(&self, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
        let app = http::router(self.clone(), shutdown.clone());
        let serving = axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::select! {
            ended = serving.into_future() => ended.context("serve the Events API"),
            () = self.tick() => Ok(()),
            () = async { shutdown.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }

    /// The answers and events served so far.
    pub fn served(&self) -> Served {
        self.api.lock().served()
    }

    /// Waits until `condition` is true. It is checked after each request.
    pub async fn until(&self, condition: impl Fn(&Served) -> bool) -> Served {
        let mut changes = self.changes.subscribe();
        loop {
            let served = self.served();
            if condition(&served) {
                return served;
            }
            // Fails only when the sender is gone, and `self` holds it.
            let _ = changes.changed().await;
        }
    }

    /// Puts an event, or anything else, on top of the feed.
    pub fn publish(&self, raw: impl Into<Bytes>) {
        self.api.lock().feed.push(raw.into());
    }

    /// Replaces the faults; with none, GitHub is well again.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.api.lock().schedule = Schedule::new(faults);
    }

    /// The events of a world's repositories that have entered until now, oldest first, from the history at the start on. The
    /// newest four million are remembered. Empty without `--repositories`.
    pub fn entered(&self) -> Vec<Entered> {
        let mut api = self.api.lock();
        api.tick(Utc::now());
        api.world.as_ref().map(World::entered).unwrap_or_default()
    }

    /// Every repository of a world, in the order of `GET /simulator/sources`, then every organisation.
    pub fn sources(&self) -> Vec<SourceSeen> {
        self.api.lock().world.as_ref().map(World::sources).unwrap_or_default()
    }

    /// From now on, no more events happen in the world.
    pub fn rest(&self) {
        if let Some(world) = &mut self.api.lock().world {
            world.rest();
        }
    }

    /// From now on, this has become of a world's repository `owner/name`. False if there is no such repository.
    pub fn set_state(&self, repository: &str, state: State) -> bool {
        self.api.lock().world.as_mut().is_some_and(|world| world.turn(repository, state))
    }

    fn answer(&self, parts: Parts) -> Answer {
        let answer = self.api.lock().answer(&Asked::new(parts), Utc::now());
        self.changes.send_replace(());
        answer
    }

    async fn tick(&self) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            self.api.lock().tick(Utc::now());
        }
    }
}

/// Runs a simulator on `listener` until `shutdown`; use [`Simulator`] to look into it meanwhile.
///
/// # Errors
/// As [`Simulator::new`] and [`Simulator::run`].
pub async fn run(
    listener: TcpListener,
    args: SimulateArgs,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    Simulator::new(args)?.run(listener, shutdown).await
}

/// Runs the program: binds, prints its address on stdout (a line with the URL alone) and stderr, and serves.
///
/// # Errors
/// As [`run`], and when the address cannot be bound.
pub async fn serve(args: SimulatorArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let simulator = Simulator::new(args.simulate)?;
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("--listen (SIMULATOR_LISTEN): listen on {}", args.listen))?;
    let address = listener.local_addr().context("learn the bound address")?;
    tracing::info!(%address, "serving GitHub's Events API at http://{address}");
    writeln!(std::io::stdout(), "http://{address}").context("print the address")?;
    simulator.run(listener, shutdown).await
}
