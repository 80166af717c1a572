//! Twenty rolling restarts of four loaders under load: nobody can tell afterwards that there was one (row 17).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use github_event_etl::status::Totals;

use crate::support::amqp::Amqp;
use crate::support::corner::{Corner, amqp_url, properties};
use crate::support::events::event;
use crate::support::program::{Ended, Program};
use crate::support::proxy::Proxy;
use crate::support::redis_server::RedisServer;
use crate::support::wait::eventually;

/// Two with batches that end in any order, so that there are holes in what may be acked; two with larger ones.
const FLAGS: [[&str; 4]; 4] = [
    ["--batch-size", "8", "--concurrency", "4"],
    ["--batch-size", "32", "--concurrency", "1"],
    ["--batch-size", "8", "--concurrency", "4"],
    ["--batch-size", "32", "--concurrency", "1"],
];
const ROUNDS: usize = 20;
/// Events that are published at once, and that wait at most.
const BURST: usize = 500;

/// Servers, and loaders that work on a queue that is never empty.
struct Scene {
    corner: Corner,
    redis: RedisServer,
    /// Far from the loaders, so that they have no time to empty the queue.
    far: Proxy,
    published: AtomicUsize,
    enough: AtomicBool,
}

#[test]
fn twenty_rolling_restarts_of_four_loaders_make_no_suspect_no_duplicate_and_no_dead_letter() {
    // Without flushes: a busy disk would hold up Redis for longer than a stop may take.
    let redis = RedisServer::start(&["--appendfsync", "no"]);
    let far = Proxy::up(&redis.url());
    far.slow(64 * 1024, Duration::from_millis(30));
    let corner = Corner::at("rolling", &amqp_url(), &redis.url());
    let scene = Scene { corner, redis, far, published: AtomicUsize::new(0), enough: AtomicBool::new(false) };
    let loaded = std::thread::scope(|scope| {
        scope.spawn(|| scene.keep_queue_filled());
        // A failed check must not leave the other thread at work.
        let _enough = Enough(&scene.enough);
        scene.restart_again_and_again()
    });
    scene.shows_nothing(loaded);
}

/// Ends the publishing when dropped.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Scene {
    fn loader(&self, number: usize) -> Program {
        let flags = [&["--stream-maxlen", "0", "--prefetch", "100"], &FLAGS[number % 4][..]].concat();
        self.corner.loader_at(&self.corner.amqp_url, &self.far.url(&self.corner.redis_url), &flags)
    }

    /// Replaces loader after loader, each while all have their hands full, and lets the last ones empty the queue. Gives how many
    /// events they say they have loaded.
    fn restart_again_and_again(&self) -> usize {
        let mut loaders: Vec<_> = (0..FLAGS.len()).map(|number| self.loader(number)).collect();
        let mut loaded = 0;
        for number in (0..ROUNDS).flat_map(|_| 0..FLAGS.len()) {
            loaders[number].wait_for("consuming");
            eventually("more waits than loaders may hold", || self.corner.ready("load") > 0);
            let before = std::mem::replace(&mut loaders[number], self.loader(number));
            loaded += loaded_only(&before.stop());
        }
        self.enough.store(true, Ordering::SeqCst);
        self.far.slow(0, Duration::ZERO);
        self.corner.wait_until_ready("load", 0);
        loaded + loaders.into_iter().map(|loader| loaded_only(&loader.stop())).sum::<usize>()
    }

    fn keep_queue_filled(&self) {
        let amqp = Amqp::connect(&self.corner.amqp_url);
        while !self.enough.load(Ordering::SeqCst) {
            if amqp.ready(&self.corner.queue("load")) as usize >= BURST {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let first = self.published.load(Ordering::SeqCst);
            let events: Vec<_> = (first..first + BURST).map(|n| event(n).bytes()).collect();
            amqp.publish(&self.corner.namespace, "PushEvent", &properties("m"), &events);
            self.published.store(first + BURST, Ordering::SeqCst);
        }
    }

    #[track_caller]
    fn shows_nothing(&self, loaded: usize) {
        assert_eq!(loaded, self.published.load(Ordering::SeqCst), "every event is loaded once, and acked");
        assert_eq!(self.corner.loaded(), loaded);
        assert_eq!((self.corner.ready("load"), self.corner.ready("load.dead")), (0, 0));
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut self.redis.connect()).unwrap();
        // A note is an EXPIRE, and so is a question at the start of each loader: whether it has the right to one.
        let started = FLAGS.len() * (1 + ROUNDS);
        let calls = stats.split_once("cmdstat_expire:calls=").and_then(|(_, rest)| rest.split(',').next());
        assert_eq!(calls, Some(started.to_string().as_str()), "something was noted as a suspect: {stats}");
    }
}

/// How many events a loader says that it has loaded; it must have met nothing else.
#[track_caller]
fn loaded_only(ended: &Ended) -> usize {
    let done = ended.stderr.rsplit_once("done: loaded ").unwrap_or_else(|| panic!("{}", ended.stderr)).1;
    let loaded = done.split_once(", ").unwrap().0.parse().unwrap();
    let totals = Totals { loaded, ..Totals::default() };
    assert!(ended.stderr.contains(&format!("done: {totals}, ")), "{}", ended.stderr);
    usize::try_from(loaded).unwrap()
}
