//! Secrets that are right, in a pipeline that works and fails as it should.

use super::*;
use crate::support::amqp::Amqp;
use crate::support::corner::Corner;
use crate::support::github::GitHub;
use crate::support::rabbitmq::RabbitNode;
use crate::support::wait::eventually;

/// Dead at once.
const NOT_AN_EVENT: &[u8] = br#"{"id":1}"#;

#[test]
fn a_pipeline_with_passwords_and_a_token_shows_none_and_hands_none_on() {
    let node = RabbitNode::lent();
    node.ctl(&["add_user", "etl", AMQP_PASSWORD]);
    node.ctl(&["set_permissions", "etl", ".*", ".*", ".*"]);
    let redis = redis_with_password(REDIS_PASSWORD);
    let github = GitHub::generated(&[]);
    let dir = tempfile::tempdir().unwrap();
    let (url_file, token_file) = (dir.path().join("amqp"), dir.path().join("token"));
    fs::write(&url_file, with_password(&node.url(), "etl", AMQP_PASSWORD)).unwrap();
    fs::write(&token_file, GITHUB_TOKEN).unwrap();
    let variables = [
        ("AMQP_URL_FILE", url_file.to_str().unwrap()),
        ("REDIS_URL", &redis.url()),
        ("REDIS_PASSWORD", REDIS_PASSWORD),
        ("GITHUB_API_URL", &github.url),
        ("GITHUB_TOKEN_FILE", token_file.to_str().unwrap()),
    ];
    let dashboard = [&variables[..], &[("DASHBOARD_TOKEN", DASHBOARD_TOKEN)]].concat();
    let dashboard = Suspect::start("working", "dashboard", &dashboard, &["--listen", "127.0.0.1:0"]);
    let loader = Suspect::start("working", "loader", &variables, &[]);
    let fetcher = Suspect::start("working", "fetcher", &variables, &[]);
    let standalone = Suspect::start("working", "standalone", &variables, &[]);
    loader.program.wait_for("consuming");
    let amqp = Amqp::connect(&node.url());
    let properties = crate::support::corner::properties("m");
    amqp.publish("", "github-events.load", &properties, &[NOT_AN_EVENT.to_vec()]);
    let dead = eventually_dead(&amqp);
    is_clean("the dead letter", "its properties", &format!("{dead:?}"));
    github.until("events are fetched", |served| served.events.fetched > 0);
    loader.shows_nothing_after("loaded ");
    fetcher.shows_nothing_after("INFO");
    standalone.shows_nothing_after("consuming");
    dashboard.shows_nothing_after("the dashboard is at");
    node.ctl(&["delete_user", "etl"]);
}

fn eventually_dead(amqp: &Amqp) -> crate::support::amqp::Message {
    eventually("a dead letter", || amqp.ready("github-events.load.dead") == 1);
    amqp.peek("github-events.load.dead").unwrap()
}

#[test]
fn a_password_in_a_variable_of_its_own_is_taken_as_it_is() {
    let password = "k4n4ry%41";
    let redis = redis_with_password(password);
    let corner = Corner::new("percent");
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("ETL_NAMESPACE", &corner.namespace),
        ("REDIS_URL", &redis.url()),
        ("REDIS_PASSWORD", password),
    ];
    Suspect::start("right password", "loader", &variables, &[]).shows_nothing_after("consuming");
}
