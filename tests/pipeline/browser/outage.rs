//! What is away is said, with the age of what is shown.

use super::Visit;
use crate::support::corner::{self, Corner};
use crate::support::dashboard::{Dashboard, LISTENS};
use crate::support::events::event;
use crate::support::program::Program;
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
    let Visit { browser, dashboard } = Visit::of(&corner);
    let says = |status: &str| browser.until_text("#status-line", |line| line == status);
    says("No loader is at work");
    let _loader = corner.loader(&[]);
    says("All is well");
    let Dashboard { program, address } = dashboard;
    program.stop();
    says("The dashboard’s server does not answer");
    browser.until_text("#status-age", |age| age.contains("what is shown is"));
    assert!(browser.run("return document.title").as_str().unwrap().contains("does not answer"));
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("REDIS_URL", &corner.redis_url),
        ("ETL_NAMESPACE", &corner.namespace),
    ];
    let again = Program::start("dashboard", &variables, &["--listen", &address]);
    again.wait_for(LISTENS);
    says("All is well");
    corner.publish(&[event(1).bytes()]);
    let listed = "return document.querySelectorAll('#events .event').length === 1";
    browser.until("the live events go on", listed);
}
