//! The page of the sources: thousands are searched, sorted and paged, and an update moves nobody.

use github_event_etl::status::{SourceState, SourceStatus};
use serde_json::json;

use super::Visit;
use crate::support::corner::Corner;
use crate::support::told::{source, tell};

/// Three thousand sources, of which the first are in trouble.
fn thousands() -> Vec<SourceStatus> {
    let one = |n: u32| SourceStatus {
        coverage: Some((f64::from(n) / 1000.0).min(1.0)),
        gaps: u64::from(n < 1000),
        gap_seconds: u64::from(1000_u32.saturating_sub(n)) * 60,
        events_per_hour: Some(f64::from(n % 50)),
        newest_event_at: Some(chrono::Utc::now()),
        next_poll_at: Some(chrono::Utc::now() + chrono::TimeDelta::seconds(90)),
        ..source(&format!("repos/owner{}/name-{n:04}", n % 9))
    };
    let mut all: Vec<_> = (0..3000).map(one).collect();
    all[7] = SourceStatus {
        state: SourceState::Missing,
        trouble: Some("GitHub has no such feed (404)".into()),
        blind: true,
        ..all[7].clone()
    };
    all[8] =
        SourceStatus { state: SourceState::Moved, moved_to: Some("repos/new/name".into()), ..all[8].clone() };
    all
}

fn visit(corner: &Corner, sources: &[SourceStatus]) -> Visit {
    let visit = Visit::of(corner);
    visit.until_ready();
    tell(corner, sources);
    visit.browser.open(&format!("http://{}/sources", visit.dashboard.address));
    visit
}

#[test]
fn three_thousand_sources_are_searched_sorted_and_paged_and_keep_nobody_out() {
    let corner = Corner::new("sourcespage");
    let all = thousands();
    let visit = visit(&corner, &all);
    let browser = &visit.browser;
    let first = |name: &str| {
        browser.until_text("#sources-rows th bdi", |text| text == name);
    };
    // The worst first: nothing comes of the first, the second has another name, the others have least coverage.
    first("repos/owner7/name-0007");
    assert_eq!(browser.text("#sources-rows tr .error"), "GitHub has no such feed (404)");
    let names = browser.texts("#sources-rows th > :first-child");
    assert_eq!(
        (names.len(), names[1].as_str(), names[2].as_str()),
        (100, "repos/owner8/name-0008", "repos/owner0/name-0000")
    );
    assert_eq!(browser.text("#sources-note"), "3,000 sources");
    assert_eq!(browser.text("#figure-sources .note"), "2,998 well");
    assert_eq!(browser.text("#figure-blind b"), "1");
    browser.until_text("#sources-well", |text| text == " (2,998 of 3,000 well)");

    browser.click("#after");
    browser.until_text("#place", |text| text == "101–200 of 3,000");
    browser.click("[data-sort=coverage]");
    browser.until_text("#place", |text| text == "1–100 of 3,000");
    first("repos/owner0/name-0000");
    let sorted = "return document.querySelector('[data-sort=coverage]').closest('th').ariaSort";
    assert_eq!(browser.run(sorted), "ascending");
    browser.keys("[data-sort=events_per_hour]", thirtyfour::Key::Enter);
    browser
        .until("by rate", "return document.querySelector('#sources-rows tr').cells[5].textContent === '49'");
    browser.keys("#filter-search", "OWNER3/name-002");
    browser.until_text("#sources-note", |text| text == "1 of 3,000 sources");
    first("repos/owner3/name-0021");
    let address = browser.run("return location.search");
    assert_eq!(address, "?search=OWNER3%2Fname-002&sort=events_per_hour&order=desc");
    browser.open(&format!("http://{}/sources{}", visit.dashboard.address, address.as_str().unwrap()));
    first("repos/owner3/name-0021");
    browser.click("#clear");
    browser.click("#worst");
    first("repos/owner7/name-0007");
    let link = "return document.querySelector('#sources-rows a').href";
    assert_eq!(browser.run(link), "https://github.com/owner7/name-0007");
    browser.keeps_nobody_out();
    visit.went_quietly();
}

#[test]
fn an_update_changes_the_rows_and_leaves_the_keyboard_and_the_place_where_they_are() {
    let corner = Corner::new("sourcesupdate");
    let mut all = thousands();
    let visit = visit(&corner, &all);
    let browser = &visit.browser;
    browser.until("they are listed", "return document.querySelectorAll('#sources-rows tr').length === 100");
    browser.run(
        "const row = document.querySelectorAll('#sources-rows tr')[50];
         window.row = row;
         row.querySelector('a').focus();
         row.scrollIntoView({ block: 'center' });",
    );
    let before = browser.run("return scrollY");
    // The row moves up, because another one above it is well now, and its coverage is another.
    all[7] = SourceStatus { coverage: Some(1.0), ..source(&all[7].source) };
    let name = browser.run("return window.row.querySelector('th bdi').textContent");
    let changed = all.iter_mut().find(|one| one.source == name.as_str().unwrap()).unwrap();
    changed.gaps = 77;
    tell(&corner, &all);
    browser.until(
        "the same row has the new figure",
        "return window.row.isConnected && window.row.cells[3].textContent === '77'",
    );
    browser.until("it has moved", "return document.querySelectorAll('#sources-rows tr')[49] === window.row");
    assert_eq!(browser.run("return document.activeElement === window.row.querySelector('a')"), true);
    let moved = browser.run("return scrollY").as_i64().unwrap() - before.as_i64().unwrap();
    assert!(moved.abs() < 120, "the page has moved by {moved} pixels");
    visit.went_quietly();
}

#[test]
fn names_and_troubles_of_strangers_are_shown_as_written_and_do_nothing() {
    const HOSTILE: &str = "\"><img src=x onerror=window.pwned=1></script>\u{202e}gnp\u{1b}[31m";
    const SHOWN: &str = "\"><img src=x onerror=window.pwned=1></script>\\u{202e}gnp␛[31m";
    let corner = Corner::new("sourceshostile");
    let hostile = SourceStatus {
        state: SourceState::Other(HOSTILE.chars().take(40).collect()),
        trouble: Some(HOSTILE.into()),
        moved_to: Some(HOSTILE.into()),
        ..source(&format!("repos/{HOSTILE}"))
    };
    let visit = visit(&corner, &[hostile, source("orgs/javascript:alert(1)")]);
    let browser = &visit.browser;
    browser.until_text("#sources-rows th > :first-child", |name| name == format!("repos/{SHOWN}"));
    assert_eq!(browser.text("#sources-rows .error"), SHOWN);
    assert_eq!(browser.texts("#sources-rows th p")[1], format!("now {SHOWN}"));
    assert_eq!(browser.run("return typeof window.pwned"), "undefined");
    assert_eq!(browser.run("return document.querySelectorAll('main img, main script').length"), 0);
    assert_eq!(
        browser.run("return [...document.querySelectorAll('main a')].map((link) => link.href)"),
        json!([])
    );
    visit.went_quietly();
}
