//! Redis, or something before it, refuses in words that we do not know.

use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::middleman::Middleman;
use crate::support::oracle::Oracle;
use crate::support::program::Program;
use crate::support::wait::eventually;

const LINE: &str = "no upstream host";

struct Scene {
    corner: Corner,
    middleman: Middleman,
    loader: Program,
}

impl Scene {
    /// A loader at work, which gives up a message after `attempts`.
    fn start(story: &str, attempts: &str, flags: &[&str]) -> Self {
        let corner = Corner::new(story);
        let middleman = Middleman::before(&corner.redis_url);
        let flags = [&["--stream-maxlen", "0", "--max-attempts", attempts], flags].concat();
        let loader = corner.loader_at(&corner.amqp_url, &middleman.url, &flags);
        corner.publish(&[event("first").bytes()]);
        eventually("it works", || corner.loaded() == 1);
        Self { corner, middleman, loader }
    }

    fn eventually_refused(&self, more: usize) {
        let before = self.middleman.refused();
        eventually("more is refused", || self.middleman.refused() >= before + more);
    }

    /// Asserts that all is loaded, by the first attempt, and that the outage was told as one.
    #[track_caller]
    fn ends_unharmed(self, mut bodies: Vec<Vec<u8>>) {
        bodies.push(event("first").bytes());
        eventually("all is loaded", || self.corner.loaded() == bodies.len());
        let ended = self.loader.stop();
        assert!(ended.stderr.contains("unwanted 0, retried 0, dead 0,"), "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("is away").count(), 1, "{}", ended.stderr);
        assert_eq!((self.corner.ready("load"), self.corner.ready("load.dead")), (0, 0));
        assert_same("Redis", &self.corner.dump(), &Oracle::of(&bodies).lines());
    }
}

fn bodies(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| event(n).bytes()).collect()
}

#[test]
fn a_proxy_without_its_server_spends_no_attempt_of_many_messages() {
    let scene = Scene::start("nohosts", "1", &[]);
    scene.middleman.refuse("", LINE);
    scene.corner.publish(&bodies(50));
    let line = scene.loader.wait_for("is away");
    assert!(line.contains(LINE), "{line}");
    // It asks again and again: these are attempts of its own, not of the messages.
    scene.eventually_refused(10);
    scene.middleman.serve();
    scene.ends_unharmed(bodies(50));
}

#[test]
fn nor_of_a_single_one() {
    let scene = Scene::start("nohost", "1", &[]);
    scene.middleman.refuse("", LINE);
    scene.corner.publish(&bodies(1));
    scene.loader.wait_for("is away");
    scene.eventually_refused(10);
    scene.middleman.serve();
    scene.ends_unharmed(bodies(1));
}

#[test]
fn many_that_are_refused_alike_are_not_at_fault_though_redis_does_other_work() {
    let scene = Scene::start("alike", "3", &["--batch-size", "8"]);
    // The probe is no push.
    scene.middleman.refuse("PushEvent", "QUOTA used up");
    scene.corner.publish(&bodies(100));
    let line = scene.loader.wait_for("is away");
    assert!(line.contains("QUOTA used up"), "{line}");
    scene.eventually_refused(100);
    scene.middleman.serve();
    eventually("all is loaded", || scene.corner.loaded() == 101);
    let ended = scene.loader.stop();
    // The first few may have come apart, before there were many.
    let retried = (0..8).any(|count| ended.stderr.contains(&format!("retried {count}, dead 0,")));
    assert!(retried, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("is away").count(), 1, "{}", ended.stderr);
}

#[test]
fn one_that_is_refused_while_others_load_goes_through_the_retry_queues_to_the_dead_letters() {
    let scene = Scene::start("odd", "2", &[]);
    scene.middleman.refuse("odd-one", "ODD nobody knows");
    let mut all = bodies(30);
    all.insert(10, event("odd-one").bytes());
    scene.corner.publish(&all);
    is_the_only_dead_letter(scene, 31);
}

#[test]
fn so_does_one_that_comes_alone() {
    let scene = Scene::start("lone", "2", &[]);
    scene.middleman.refuse("odd-one", "ODD nobody knows");
    scene.corner.publish(&[event("odd-one").bytes()]);
    is_the_only_dead_letter(scene, 1);
}

#[track_caller]
fn is_the_only_dead_letter(scene: Scene, loaded: usize) {
    scene.corner.wait_until_ready("load.dead", 1);
    let dead = scene.corner.take_all("load.dead");
    assert_eq!(dead[0].body, event("odd-one").bytes());
    assert_eq!(
        (dead[0].header("x-etl-reason"), dead[0].header("x-etl-attempts")),
        ("ODD nobody knows".into(), "2".into())
    );
    assert_eq!(scene.corner.loaded(), loaded);
    let ended = scene.loader.stop();
    assert!(!ended.stderr.contains("is away"), "{}", ended.stderr);
}
