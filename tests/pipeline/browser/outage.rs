//! What is away is said, with the age of what is shown.

use super::Visit;
use crate::support::corner::{self, Corner};
use crate::support::events::event;
use crate::support::proxy::Proxy;
use crate::support::redis_server::RedisServer;

#[test]
fn a_server_that_is_away_is_said_at_the_top_and_what_was_known_stays() {
    let mut redis = RedisServer::start(&[]);
    let corner = Corner::at("away", &corner::amqp_url(), &redis.url());
    let mut proxy = Proxy::up(&corner.amqp_url);
    let _loader = corner.loader(&[]);
    let visit = Visit::at(&corner, &proxy.url(&corner.amqp_url));
    let browser = &visit.browser;
    visit.until_well();
    corner.publish(&[event(1).bytes()]);
    browser.until_text("#leaderboard", |leaders| leaders.contains("octocat"));

    redis.kill();
    visit.until_it_says("Redis is away");
    browser.until_text("#status-age", |age| {
        age.contains("since ") && age.contains("what is shown of Redis is ")
    });
    browser.until_text("#problems", |problems| problems.contains("Redis"));
    assert!(browser.text("#leaderboard").contains("octocat"), "what was known is gone");
    redis.restart();
    visit.until_well();

    proxy.stop();
    visit.until_it_says("RabbitMQ is away");
    proxy.start();
    visit.until_well();
    assert_eq!(browser.violations(), Vec::<String>::new());
}

#[test]
fn a_dashboard_that_does_not_answer_is_said_by_its_page_which_comes_back_with_it() {
    let corner = Corner::new("gone");
    let mut visit = Visit::of(&corner);
    visit.until_it_says("No loader is at work");
    let _loader = corner.loader(&[]);
    visit.until_well();
    visit.stop_serving();
    visit.until_it_says("The dashboard’s server does not answer");
    visit.browser.until_text("#status-age", |age| age.contains("what is shown is"));
    assert!(visit.browser.run("return document.title").as_str().unwrap().contains("does not answer"));
    visit.serve();
    visit.until_well();
    corner.publish(&[event(1).bytes()]);
    let listed = "return document.querySelectorAll('#events .event').length === 1";
    visit.browser.until("the live events go on", listed);
}
