//! Row 65: dead letters come all the time, a dashboard is open, and a policy moves or drops what is delivered more than five times.

use std::time::{Duration, Instant};

use crate::support::corner::{Corner, redis_url};
use crate::support::dashboard::Dashboard;
use crate::support::events::event;
use crate::support::letters::failed;
use crate::support::rabbitmq::RabbitNode;
use crate::support::wait::eventually;

/// Before, a look every 15 s had used up the policy's limit by then.
const WATCHED_FOR: Duration = Duration::from_secs(120);
const EVERY: Duration = Duration::from_secs(4);

#[test]
fn an_open_dashboard_uses_up_no_delivery_limit_of_a_policy() {
    let node = RabbitNode::start();
    let corner = Corner::at("looking", &node.url(), &redis_url());
    node.ctl(&["set_policy", "--apply-to", "queues", "low", ".*", r#"{"delivery-limit":5}"#]);
    let dashboard = Dashboard::ready(&corner);
    let started = Instant::now();
    let mut letters = 0;
    while started.elapsed() < WATCHED_FOR {
        corner.publish_to("load.dead", &failed("bad"), &[event(letters).bytes()]);
        letters += 1;
        let next = Instant::now() + EVERY;
        while Instant::now() < next {
            assert_eq!(dashboard.get("/api/dead-letters").status, 200);
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    eventually("every letter is there", || corner.ready("load.dead") == letters);
    let seen = dashboard.json("/api/dead-letters");
    assert_eq!(seen["total"], letters);
    assert!(seen["looked_at"].as_u64() > Some(0), "{seen}");
}
