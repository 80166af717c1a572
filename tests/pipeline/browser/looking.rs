//! What an operator sees, filters and steps through.

use super::Visit;
use crate::loading::DRAIN;
use crate::support::browser::Browser;
use crate::support::corner::Corner;
use crate::support::dashboard::Dashboard;
use crate::support::events::{event, feed};
use crate::support::github::GitHub;
use crate::support::wait::eventually;

/// The digits of a text such as `1,234 in total`.
fn number(text: &str) -> usize {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// Developers and scores as the page lists them.
fn leaders(visit: &Visit) -> Vec<(String, usize)> {
    let logins = visit.browser.texts("#leaderboard .who");
    let scores = visit.browser.texts("#leaderboard .score");
    logins.into_iter().zip(scores.iter().map(|score| number(score))).collect()
}

/// The same from Redis.
fn leaders_in_redis(corner: &Corner, hour: &str) -> Vec<(String, usize)> {
    let key = format!("{}:dev-score:{hour}", corner.namespace);
    redis::cmd("ZREVRANGE").arg(key).arg(0).arg(11).arg("WITHSCORES").query(&mut corner.redis()).unwrap()
}

#[test]
fn the_page_shows_the_pipeline_at_work_and_keeps_nobody_out() {
    let corner = Corner::new("page");
    let github = GitHub::generated(&["--rate", "20"]);
    let _fetcher = corner.fetcher(&github.url, &[]);
    let _loader = corner.loader(&[]);
    let visit = Visit::of(&corner);
    let browser = &visit.browser;
    visit.until_well();

    let total = "#figure-loaded .note";
    let first = number(&browser.until_text(total, |text| number(text) > 0));
    let second = number(&browser.until_text(total, |text| number(text) > first));
    assert!(second <= corner.loaded(), "{second} is more than were loaded");
    browser.until_text("#figure-loaded b", |rate| rate != "–" && rate != "0");
    browser.until_text("#figure-quota b", |left| number(left) > 0);
    browser.until_text("#figure-coverage b", |part| part.ends_with(" %"));
    browser.until_text("#figure-lag b", |lag| lag.ends_with(['s', 'n']));
    browser.until("it draws the rates", "return document.querySelectorAll('#chart .layer').length > 0");
    browser.until(
        "it lists the pushes",
        "return document.querySelector('#legend').textContent.includes('Push')",
    );
    browser.until(
        "both programs are there and ready",
        "const programs = [...document.querySelectorAll('#programs-list .card')].map((card) => card.textContent);
         return ['fetcher', 'loader'].every((name) => programs.some((card) => card.startsWith(name) && card.includes('ready')))",
    );
    browser.until(
        "the load queue has its loader",
        "const rows = [...document.querySelectorAll('#queues-rows tr')];
         return rows.some((row) => row.cells[0].textContent === 'load' && row.cells[2].textContent === '1')",
    );
    let newest = "document.querySelector('#events .event').dataset.id";
    browser.until("live events are there", "return document.querySelector('#events .event') !== null");
    let before = browser.run(&format!("return {newest}"));
    browser.until("newer ones come", &format!("return {newest} !== {before}"));
    assert!(browser.run("return document.querySelectorAll('#events > li').length <= 200").as_bool().unwrap());

    browser.click("#rates summary");
    browser.until(
        "the table says the same",
        "return document.querySelectorAll('#rates-table tbody tr').length > 0",
    );
    browser.keeps_nobody_out();
    visit.went_quietly();
}

#[test]
fn filters_narrow_the_live_list_and_a_pause_holds_it() {
    let corner = Corner::new("filters");
    let _loader = corner.loader(&[]);
    let visit = Visit::of(&corner);
    let browser = &visit.browser;
    visit.until_well();
    let repo = r#"{"id":1,"name":"octo/tools"}"#;
    let wanted = event(1).kind("WatchEvent").by("octocat").with("repo", repo);
    corner.publish(&[
        wanted.bytes(),
        event(2).by("octocat").bytes(),
        event(3).kind("WatchEvent").by("other").bytes(),
    ]);
    let rows = |count: usize| {
        browser.until(
            &format!("{count} events are listed"),
            &format!("return document.querySelectorAll('#events .event').length === {count}"),
        );
    };
    rows(3);

    browser.until("types can be chosen", "return document.querySelector('#filter-type').options.length > 2");
    browser.run(
        "const select = document.querySelector('#filter-type');
         select.value = 'WatchEvent';
         select.dispatchEvent(new Event('change', { bubbles: true }));",
    );
    rows(2);
    assert_eq!(browser.texts("#events .kind"), ["Watch", "Watch"]);
    browser.keys("#filter-actor", "octo*");
    rows(1);
    assert_eq!(browser.texts("#events .repo"), ["octo/tools"]);
    assert_eq!(
        browser.run("return document.querySelector('#events .repo a').href"),
        "https://github.com/octo/tools"
    );
    // Three more are loaded, of which one passes.
    corner.publish(&[
        event(4).by("octocat").bytes(),
        event(5).kind("WatchEvent").by("other").bytes(),
        event(6).kind("WatchEvent").by("Octopus").bytes(),
    ]);
    rows(2);
    assert_eq!(browser.texts("#events .actor"), ["Octopus", "octocat"]);
    browser.keys("#filter-repo", "octo/tools");
    rows(1);

    browser.click("#clear");
    rows(6);
    browser.click("#pause");
    corner.publish(&[event(7).bytes()]);
    browser.until_text("#live-state", |state| state == "paused, 1 new");
    rows(6);
    browser.click("#pause");
    rows(7);
    visit.went_quietly();
}

#[test]
fn hours_are_stepped_through_by_buttons_and_by_keys() {
    let corner = Corner::new("hours");
    corner.publish(&feed(300));
    corner.loader(&DRAIN).succeed();
    let visit = Visit::of(&corner);
    let browser = &visit.browser;
    let shows = |hour: &str| {
        let expected = leaders_in_redis(&corner, hour);
        assert!(expected.len() > 5, "{hour}: {expected:?}");
        eventually(&format!("the page shows {hour}"), || {
            browser.run("return document.querySelector('#leaders').dataset.hour") == hour
                && leaders(&visit) == expected
        });
        expected
    };
    let newest = shows("2015-01-01-12");
    browser.until(
        "there is an hour before",
        "return document.querySelector('#hour-before').ariaDisabled === 'false'",
    );
    browser.click("#hour-before");
    let before = shows("2015-01-01-11");
    assert_ne!(newest, before, "the hours differ");
    assert_eq!(browser.text("#hour"), "1 Jan 2015, 11:00–12:00");
    browser.keys("#hour-before", thirtyfour::Key::Left);
    shows("2015-01-01-10");
    browser.until(
        "there is none before",
        "return document.querySelector('#hour-before').ariaDisabled === 'true'",
    );
    browser.keys("#hour-before", thirtyfour::Key::Right);
    shows("2015-01-01-11");
    browser.click("#hour-newest");
    shows("2015-01-01-12");
    visit.went_quietly();
}

#[test]
fn a_flood_is_listed_in_part_and_the_page_says_so() {
    let corner = Corner::new("flood");
    let _loader = corner.loader(&[]);
    let visit = Visit::of(&corner);
    let browser = &visit.browser;
    visit.until_well();
    browser.until_text("#live-state", |state| state == "as they are loaded");
    let flood: Vec<_> = (0..4000).map(|id| event(id).bytes()).collect();
    corner.publish(&flood);
    browser.until_text("#live-state", |state| state.contains("not listed: too many at once"));
    browser.until(
        "the newest is at the top",
        "return document.querySelectorAll('#events .event').length === 200
             && document.querySelector('#events .event').dataset.id >= [...document.querySelectorAll('#events .event')].at(-1).dataset.id",
    );
    // It is the browser that holds back, not only the server.
    let state = browser.text("#live-state");
    let (left_out, all) = state.split_once("; ").and_then(|(_, rest)| rest.split_once(" of ")).unwrap();
    assert!(number(left_out) > 0 && number(left_out) < number(all), "{state}");
    visit.went_quietly();
}

#[test]
fn behind_a_token_the_page_and_its_live_events_work_after_one_login() {
    const TOKEN: &str = "a-token-that-nobody-guesses";
    let corner = Corner::new("login");
    let _loader = corner.loader(&[]);
    let more = [("DASHBOARD_TOKEN", TOKEN)];
    let dashboard = Dashboard::start_at(&corner, &corner.amqp_url, &corner.redis_url, &[], &more);
    assert_eq!(dashboard.get("/").status, 401, "the page is for those who know the token");
    let browser = Browser::start();
    browser.open(&format!("http://{}/login?token={TOKEN}", dashboard.address));
    let visit = Visit { browser, dashboard };
    visit.until_well();
    let address = visit.browser.run("return location.href");
    assert!(!address.as_str().unwrap().contains(TOKEN), "{address}");
    visit.browser.until_text("#live-state", |state| state == "as they are loaded");
    corner.publish(&[event(1).bytes()]);
    let listed = "return document.querySelectorAll('#events .event').length === 1";
    visit.browser.until("an event is listed", listed);
    visit.went_quietly();
}
