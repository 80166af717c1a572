//! Row 48: Redis or RabbitMQ is away. The page comes, the API answers, and says how old it is.

use serde_json::json;

use crate::support::corner::{Corner, amqp_url};
use crate::support::dashboard::Dashboard;
use crate::support::events::event;
use crate::support::proxy::Proxy;
use crate::support::redis_server::RedisServer;
use crate::support::wait::eventually;

const ROUTES: [&str; 10] = [
    "/",
    "/api/overview",
    "/api/leaderboard?hour=2015-01-01-12",
    "/api/events",
    "/api/queues",
    "/api/dead-letters",
    "/api/gaps",
    "/sources",
    "/api/sources",
    "/api/event-log?id=1&created_at=2015-01-01T12:00:01Z",
];

#[test]
fn without_any_server_the_page_comes_and_says_so() {
    let corner = Corner::new("awayboth");
    let (amqp, redis) = (Proxy::away(&amqp_url()), "redis://127.0.0.1:1/");
    let dashboard = Dashboard::start_at(&corner, &amqp.url(&amqp_url()), redis, &[], &[]);
    eventually("both are known to be away", || {
        let view = dashboard.json("/api/overview");
        view["redis"]["state"] == "away" && view["rabbitmq"]["state"] == "away"
    });
    for route in ROUTES {
        assert_eq!(dashboard.get(route).status, 200, "{route}");
    }
    let view = dashboard.json("/api/overview");
    assert_eq!((&view["healthy"], view["problems"].as_array().unwrap().len()), (&json!(false), 2));
    assert!(view["problems"][0].as_str().unwrap().starts_with("Redis at 127.0.0.1:1 is away: "), "{view}");
    assert_eq!((&view["redis"]["as_of"], &view["rabbitmq"]["as_of"]), (&json!(null), &json!(null)));
    assert_eq!(dashboard.get("/healthz").status, 200);
    let ready = dashboard.get("/readyz");
    assert_eq!((ready.status, ready.json()["waiting_for"].as_object().unwrap().len()), (503, 2));
    dashboard.program.stop();
}

#[test]
fn what_was_known_stays_with_its_age_and_all_comes_back_with_the_servers() {
    let (mut redis, mut amqp) = (RedisServer::start(&[]), Proxy::up(&amqp_url()));
    let corner = Corner::at("awayold", &amqp_url(), &redis.url());
    let _loader = corner.loader(&[]);
    let dashboard = Dashboard::start_at(&corner, &amqp.url(&amqp_url()), &redis.url(), &[], &[]);
    corner.publish(&[event(1).bytes(), b"no event".to_vec()]);
    corner.wait_until_ready("load.dead", 1);
    let mut stream = dashboard.watch("/api/events/stream", &[("Last-Event-ID", "0-1")]);
    assert_eq!(stream.event().json()["id"], "1");
    let board = || dashboard.json("/api/leaderboard?hour=2015-01-01-12");
    eventually("all is known", || {
        dashboard.json("/api/dead-letters")["total"] == 1
            && board()["total"] == 1
            && dashboard.json("/api/overview")["loaded"]["total"] == 1
    });
    redis.kill();
    amqp.stop();
    let state = |server: &str| dashboard.json("/api/overview")[server]["state"].clone();
    eventually("both are known to be away", || state("redis") == "away" && state("rabbitmq") == "away");
    assert_eq!(dashboard.get("/readyz").status, 503);
    let age_of = |route: &str| dashboard.json(route)["as_of"].as_str().unwrap().to_owned();
    let ages: Vec<String> =
        ["/api/leaderboard?hour=2015-01-01-12", "/api/events", "/api/queues"].map(age_of).into();
    let view = dashboard.json("/api/overview");
    let seen_at = view["redis"]["as_of"].clone();
    assert!(seen_at.is_string() && view["rabbitmq"]["as_of"].is_string());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(
        ["/api/leaderboard?hour=2015-01-01-12", "/api/events", "/api/queues"].map(age_of).as_slice(),
        ages
    );
    assert_eq!(dashboard.json("/api/overview")["redis"]["as_of"], seen_at);
    assert_eq!(board()["developers"], json!([{"login": "octocat", "score": 1}]));
    assert_eq!(dashboard.json("/api/events")["events"][0]["event"]["id"], "1");
    assert_eq!(dashboard.json("/api/dead-letters")["groups"][0]["count"], 1);
    redis.restart();
    amqp.start();
    eventually("both are back", || dashboard.get("/readyz").status == 200);
    corner.publish(&[event(2).bytes()]);
    assert_eq!(stream.event().json()["id"], "2", "who watched goes on watching");
    eventually("counts go on", || board()["total"] == 2);
}
