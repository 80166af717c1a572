//! Looks into RabbitMQ's queues while somebody wants to know, or scrapes metrics, and notices whether RabbitMQ answers. Dead
//! letters and gaps are looked at without being removed: they stand in their queue again at once.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::shared::{Dated, Shared, lock};
use crate::broker::{Broker, BrokerError, Depth, Names, Taker};
use crate::gap::GapRecord;
use crate::replay::{DeadGroup, DeadGroups};

/// How often depths are looked at.
const DEPTHS_EVERY: Duration = Duration::from_secs(2);
/// How often messages are looked at, and how often when their number stays the same: while we look, nobody else can have them.
const MESSAGES_EVERY: Duration = Duration::from_secs(15);
const UNCHANGED_EVERY: Duration = Duration::from_secs(120);
/// How many are looked at.
const MESSAGES_MAX: usize = 200;

/// What was seen the last time.
#[derive(Default)]
pub(super) struct Looks {
    pub(super) queues: Option<Dated<Vec<Queue>>>,
    pub(super) dead: Option<Dated<DeadLetters>>,
    pub(super) gaps: Option<Dated<Gaps>>,
}

/// A queue.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) ready: u32,
    pub(super) consumers: u32,
}

/// The dead letters, of which the first were looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct DeadLetters {
    pub(super) total: u32,
    pub(super) looked_at: usize,
    pub(super) groups: Vec<DeadGroup>,
}

/// What polling missed; the first records were looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Gaps {
    pub(super) total: u32,
    pub(super) gaps: Vec<GapRecord>,
}

/// When messages of a queue were looked at, and how many it had.
#[derive(Default)]
struct Looked(Option<(Instant, u32)>);

impl Looked {
    fn is_due(&self, ready: u32) -> bool {
        self.0.is_none_or(|(at, before)| {
            at.elapsed() >= if before == ready { UNCHANGED_EVERY } else { MESSAGES_EVERY }
        })
    }
}

/// Looks until the program ends. It connects when somebody asks for the first time.
pub(super) async fn run(shared: Arc<Shared>, broker: Broker) {
    let (mut taker, mut dead, mut gaps) = (None, Looked::default(), Looked::default());
    let mut has_warned = false;
    loop {
        if shared.is_asked() || shared.is_scraped() {
            let looked = look(&shared, &broker, &mut taker, &mut dead, &mut gaps).await;
            if let Err(error) = looked {
                // That RabbitMQ is away is for the listener to tell.
                if !shared.rabbitmq.is_away() && !std::mem::replace(&mut has_warned, true) {
                    tracing::warn!("cannot look into {} and its like: {error}", shared.names.load());
                }
                taker = None;
            }
        } else if let Some(taker) = taker.take() {
            taker.close().await;
        }
        for _ in 0..DEPTHS_EVERY.as_millis() / 100 {
            sleep(Duration::from_millis(100)).await;
            if (shared.is_asked() || shared.is_scraped())
                && lock(&shared.looks).queues.is_none()
                && !shared.rabbitmq.is_away()
            {
                break;
            }
        }
    }
}

async fn look(
    shared: &Shared,
    broker: &Broker,
    taker: &mut Option<Taker>,
    dead: &mut Looked,
    gaps: &mut Looked,
) -> Result<(), BrokerError> {
    let open = match taker.take() {
        Some(open) => open,
        None => broker.taker().await?,
    };
    let queues = depths(&open, &shared.names).await?;
    *taker = Some(open);
    let ready = |kind: &str| queues.iter().find(|queue| queue.kind == kind).map_or(0, |queue| queue.ready);
    let (dead_ready, gaps_ready) = (ready("dead"), ready("gaps"));
    lock(&shared.looks).queues = Some(Dated::now(queues));
    if !shared.is_asked() {
        // Metrics need no more than depths.
        return Ok(());
    }
    if dead.is_due(dead_ready) {
        let letters = dead_letters(broker, &shared.names, dead_ready).await?;
        *dead = Looked(Some((Instant::now(), dead_ready)));
        lock(&shared.looks).dead = Some(Dated::now(letters));
    }
    if gaps.is_due(gaps_ready) {
        let records = gap_records(broker, gaps_ready).await?;
        *gaps = Looked(Some((Instant::now(), gaps_ready)));
        lock(&shared.looks).gaps = Some(Dated::now(records));
    }
    Ok(())
}

async fn depths(taker: &Taker, names: &Names) -> Result<Vec<Queue>, BrokerError> {
    let mut all = vec![(names.load().to_owned(), "load")];
    all.extend(names.retries().map(|(name, _)| (name, "retry")));
    all.extend([(names.dead(), "dead"), (names.gaps(), "gaps")]);
    all.extend([(names.archive(), "archive"), (names.unrouted(), "unrouted")]);
    let mut queues = Vec::with_capacity(all.len());
    for (name, kind) in all {
        let Depth { ready, consumers } = taker.depth(&name).await?;
        measure(kind, &name, ready, consumers);
        queues.push(Queue { name, kind, ready, consumers });
    }
    Ok(queues)
}

fn measure(kind: &'static str, name: &str, ready: u32, consumers: u32) {
    // Queues' names are of the configuration: a dozen.
    let gauge = |metric: &'static str| metrics::gauge!(metric, "queue" => name.to_owned(), "kind" => kind);
    gauge("github_etl_queue_messages_ready").set(ready);
    gauge("github_etl_queue_consumers").set(consumers);
}

async fn dead_letters(broker: &Broker, names: &Names, total: u32) -> Result<DeadLetters, BrokerError> {
    let (mut groups, mut looked_at) = (DeadGroups::default(), 0);
    if total > 0 {
        let taker = broker.taker().await?;
        while looked_at < MESSAGES_MAX {
            let Some(letter) = taker.take(&names.dead()).await? else { break };
            groups.add(&letter.envelope);
            looked_at += 1;
        }
        taker.close().await;
    }
    Ok(DeadLetters { total, looked_at, groups: groups.largest_first() })
}

async fn gap_records(broker: &Broker, total: u32) -> Result<Gaps, BrokerError> {
    let mut gaps = Vec::new();
    if total > 0 {
        let taker = broker.taker().await?;
        for _ in 0..MESSAGES_MAX {
            let Some(record) = taker.take(&broker.names().gaps()).await? else { break };
            gaps.extend(GapRecord::parse(&record.body));
        }
        taker.close().await;
    }
    Ok(Gaps { total, gaps })
}
