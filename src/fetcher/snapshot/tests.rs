//! What one process saved lets the next one decide alike, and nothing that is saved can harm it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::activity::Seen;
use super::super::coverage::FeedGap;
use super::super::feed::{Feed, PollEnd};
use super::super::fixture_tests as fixture;
use super::super::remembered::marks_of_each;
use super::super::walk::{Found, Step, Walk};
use super::*;
use crate::github::{Client, Page};

fn feed(source: &str) -> Feed {
    static CLIENT: LazyLock<Client> = LazyLock::new(fixture::client);
    fixture::feed(source, &CLIENT)
}

/// A page of the events of these seconds, newest first, with a next page.
fn page(seconds: impl DoubleEndedIterator<Item = u32>) -> Page {
    let event = |second: u32| {
        let time = DateTime::from_timestamp(1_767_268_800 + i64::from(second), 0).unwrap();
        format!(r#"{{"id":"{second}","type":"PushEvent","created_at":"{}"}}"#, time.to_rfc3339()).into_bytes()
    };
    let next = Some("https://api.github.com/events?page=2".parse().unwrap());
    Page { elements: seconds.rev().map(event).collect(), etag: Some("W/\"e\"".into()), next }
}

fn last(page: Page) -> Page {
    Page { next: None, ..page }
}

/// What a feed decides about pages: how many it takes, what it publishes, what it finds missing.
type Decision = (u32, Vec<String>, Vec<(i64, i64)>);

fn decide(feed: &Feed, pages: &[Page]) -> Decision {
    walk(feed, pages).0
}

fn walk(feed: &Feed, pages: &[Page]) -> (Decision, Found, Vec<FeedGap>) {
    let mut walk = Walk::default();
    let _ = pages.iter().find(|page| walk.take(copy(page), &feed.memory) == Step::Whole);
    let (pages, gaps, found) = (walk.pages, feed.gaps(&walk, chrono::Utc::now()), walk.into_found());
    let stretches = gaps.iter().map(|gap| (gap.from.timestamp(), gap.to.timestamp())).collect();
    let ids = found.elements.iter().map(|element| element.event.as_ref().unwrap().id.clone()).collect();
    ((pages, ids, stretches), found, gaps)
}

/// A complete poll that is published and remembered.
fn poll(feed: &mut Feed, pages: Vec<Page>) -> Decision {
    let (decision, found, gaps) = walk(feed, &pages);
    feed.remember(found, &PollEnd::Whole, &gaps);
    decision
}

fn copy(page: &Page) -> Page {
    Page { elements: page.elements.clone(), etag: page.etag.clone(), next: page.next.clone() }
}

fn restarted(feed: &Feed, marks_max: usize) -> Feed {
    let json = serde_json::to_string(&feed.snapshot(marks_max)).unwrap();
    let mut next = self::feed("events");
    next.resume(serde_json::from_str(&json).unwrap()).unwrap();
    next
}

fn ids(seconds: std::ops::Range<u32>) -> Vec<String> {
    seconds.map(|second| second.to_string()).collect()
}

/// The three pages that show the newest 300 of so many events.
fn pages(newest: u32) -> Vec<Page> {
    (0..3_u32).map(|n| page(newest.saturating_sub(100 * (n + 1))..newest.saturating_sub(100 * n))).collect()
}

const NOON_S: i64 = 1_767_268_800;

#[test]
fn a_restarted_feed_sends_the_same_etag_and_publishes_only_what_it_does_not_know() {
    let mut before = feed("events");
    poll(&mut before, pages(500));
    let mut after = restarted(&before, 300);
    let json = |feed: &Feed| serde_json::to_string(&feed.snapshot(300)).unwrap();
    assert_eq!(json(&after), json(&before));
    assert_eq!(after.snapshot(0).etag.as_deref(), Some("W/\"e\""));
    assert_eq!(poll(&mut after, pages(550)), (1, ids(500..550), vec![]));
}

#[test]
fn a_restarted_feed_without_an_overlap_finds_the_gap_since_the_newest_event_known() {
    let mut before = feed("events");
    poll(&mut before, pages(300));
    for marks_max in [300, 10, 0] {
        let decision = decide(&restarted(&before, marks_max), &pages(1150));
        assert_eq!(decision, (3, ids(850..1150), vec![(NOON_S + 299, NOON_S + 850)]), "{marks_max} marks");
    }
}

#[test]
fn with_a_few_marks_an_overlap_is_seen_and_some_events_are_published_again() {
    let mut before = feed("events");
    poll(&mut before, pages(300));
    let decision = decide(&restarted(&before, 10), &pages(350));
    assert_eq!(decision, (1, [ids(250..290), ids(300..350)].concat(), vec![]));
}

#[test]
fn without_a_mark_a_page_that_reaches_back_to_the_newest_event_known_overlaps() {
    let mut before = feed("events");
    poll(&mut before, pages(300));
    let bare = restarted(&before, 0);
    assert_eq!(decide(&bare, &pages(399)), (1, ids(299..399), vec![]));
    assert_eq!(decide(&bare, &pages(400)).0, 2, "the first page is all new");
    assert_eq!(decide(&bare, &pages(400)).2, vec![]);
    assert_eq!(decide(&bare, &pages(601)).2, vec![(NOON_S + 299, NOON_S + 301)], "300 may be lost");
    // An event that came late, in the middle of a page, does not pass for one that reaches back.
    let mut straggling = page(500..510);
    straggling.elements.insert(5, page(1..2).elements.remove(0));
    assert_eq!(decide(&bare, &[last(straggling)]).2, vec![(NOON_S + 299, NOON_S + 500)]);
}

#[test]
fn what_was_saved_by_another_version_is_read_as_far_as_it_is_known() {
    let old: FeedSnapshot =
        serde_json::from_str(r#"{"n":"2026-01-01T12:00:00Z","later":[{"x":1}]}"#).unwrap();
    assert_eq!((old.newest.is_some(), old.marks.len(), old.etag), (true, 0, None));
    assert_eq!(serde_json::to_string(&FeedSnapshot::default()).unwrap(), "{}");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason_and_changes_nothing() {
    // The base64 of 10,001 marks.
    let many = format!(r#"{{"m":"{}"}}"#, "A".repeat(106_678));
    let in_two_days = format!(r#"{{"n":"{}"}}"#, (Utc::now() + TimeDelta::days(2)).to_rfc3339());
    for (json, reason) in [
        ("[7]", "string"),
        ("7", "invalid"),
        (r#"{"e":7}"#, "string"),
        (r#"{"n":"soon"}"#, "invalid"),
        (r#"{"n":12}"#, "string"),
        (r#"{"n":"9999-12-31T23:59:59Z"}"#, "no time of an event"),
        (r#"{"n":"0001-01-01T00:00:00Z"}"#, "no time of an event"),
        (&in_two_days, "no time of an event"),
        (r#"{"m":"????"}"#, "Invalid"),
        (r#"{"m":"AAAA"}"#, "3 bytes"),
        (r#"{"m":[1,2]}"#, "string"),
        (&many, "more than 10000"),
        (r#"{"c":{"s":"x"}}"#, "invalid"),
        (r#"{"c":{"m":-1}}"#, "invalid"),
        (r#"{"i":-5}"#, "invalid"),
    ] {
        let mut feed = feed("events");
        let refused = serde_json::from_str(json)
            .map_err(|error| error.to_string())
            .and_then(|snapshot| feed.resume(snapshot))
            .unwrap_err();
        assert!(refused.contains(reason), "{json}: {refused}");
        assert_eq!(feed.snapshot(9), FeedSnapshot::default(), "{json}");
    }
}

#[test]
fn what_could_not_be_sent_or_waited_for_is_left_out() {
    let restored = |json: String| {
        let mut feed = feed("events");
        feed.resume(serde_json::from_str(&json).unwrap()).unwrap();
        feed
    };
    let (huge, noon) = ("x".repeat(1 << 20), r#""n":"2026-01-01T12:00:00Z""#);
    for etag in [huge.as_str(), "", "a b", "a\\r\\nx: y", "é"] {
        let feed = restored(format!(r#"{{"e":"{etag}",{noon}}}"#));
        assert_eq!((feed.snapshot(0).etag, feed.memory.newest().is_some()), (None, true), "{etag:.9}");
    }
    assert_eq!(restored(r#"{"e":"\"good\""}"#.into()).snapshot(0).etag, None, "it would hide all events");
    for (interval_s, kept_s) in [(0, 1), (90, 90), (u64::MAX, 3600)] {
        assert_eq!(restored(format!(r#"{{"i":{interval_s}}}"#)).interval.as_secs(), kept_s);
    }
    let coverage = restored(r#"{"c":{"s":4102444800,"m":18446744073709551615}}"#.into()).coverage;
    assert_eq!(coverage.ratio(Utc::now()), 1.0, "from the future: nothing has elapsed");
}

#[test]
fn the_memory_of_five_thousand_sources_fits_well_into_a_message() {
    let quiet = a_quiet_feed();
    let mut busy = feed("events");
    poll(&mut busy, pages(300));
    let sources: BTreeMap<_, _> = (0..5_000_u32)
        .map(|number| {
            let source = format!("repos/organisation-{number:05}/a-repository-{number:05}");
            let etag = Some(format!("W/\"{number:064x}\""));
            // One in fifty has more than 300 events in six hours.
            let feed = if number % 50 == 0 { &busy } else { &quiet };
            (source, FeedSnapshot { etag, interval_s: Some(90), ..feed.short_snapshot(marks_of_each(5_000)) })
        })
        .collect();
    let bytes = serde_json::to_vec(&sources).unwrap().len();
    println!("5,000 sources: {bytes} bytes");
    assert!((1_500_000..3_000_000).contains(&bytes), "{bytes}");
}

/// A feed with an event every two hours, polled.
fn a_quiet_feed() -> Feed {
    let mut quiet = feed("repos/o/quiet");
    let (_, found, gaps) = walk(&quiet, &[last(page((0..100).map(|n| n * 7200)))]);
    let seen = Seen { fresh: vec![DateTime::from_timestamp(NOON_S, 0).unwrap()], shown: Some(100) };
    quiet.learn_activity(&seen, &PollEnd::Whole, &[]);
    quiet.remember(found, &PollEnd::Whole, &gaps);
    quiet
}

#[test]
fn a_quiet_feed_is_known_by_a_few_marks_and_a_time_and_publishes_nothing_twice() {
    let quiet = a_quiet_feed();
    let short = quiet.short_snapshot(66);
    assert_eq!((short.marks.len(), short.known_before.is_some()), (16, true));
    let json = serde_json::to_string(&short).unwrap();
    let mut next = feed("repos/o/quiet");
    next.resume(serde_json::from_str(&json).unwrap()).unwrap();
    assert_eq!(
        serde_json::to_string(&next.short_snapshot(66)).unwrap(),
        json,
        "what it does not know better stays"
    );
    // A new event, and one that comes two hours late.
    let shown = last(page((0..=100).map(|n| n * 7200).chain([100 * 7200 - 7000])));
    assert_eq!(decide(&next, &[shown]), (1, vec!["720000".into(), "713000".into()], vec![]));
}

#[test]
fn a_time_before_which_all_is_known_is_refused_if_it_could_hide_news() {
    for (known_before, is_kept) in [("2026-01-01T05:59:59Z", true), ("2026-01-01T06:00:01Z", false)] {
        let json = format!(r#"{{"n":"2026-01-01T12:00:00Z","k":"{known_before}"}}"#);
        let snapshot: FeedSnapshot = serde_json::from_str(&json).unwrap();
        assert_eq!(snapshot.checked(Utc::now()).unwrap().known_before.is_some(), is_kept, "{known_before}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Events enter between polls, few or many, and at some moment the process is another one.
    #[test]
    fn a_restarted_feed_decides_like_one_that_ran_on(
        entering in vec(prop_oneof![0_u32..5, 0_u32..120, 250_u32..700], 1..6),
        then in prop_oneof![0_u32..5, 0_u32..120, 250_u32..700],
        marks_max in prop_oneof![Just(10_usize), Just(300), Just(10_000)],
    ) {
        let mut before = feed("events");
        let mut newest = 300;
        for entering in entering {
            newest += entering;
            poll(&mut before, pages(newest));
        }
        let (after, next) = (restarted(&before, marks_max), pages(newest + then));
        let (as_before, as_after) = (decide(&before, &next), decide(&after, &next));
        prop_assert_eq!(&as_after.2, &as_before.2, "gaps");
        // Ten marks may lie on the page after the one that showed the first overlap.
        prop_assert!(as_after.0 <= as_before.0 + 1);
        let is_known = |id: &String| as_after.1.contains(id);
        prop_assert!(as_before.1.iter().all(is_known), "nothing is left out");
        if marks_max == 10_000 {
            prop_assert_eq!(as_after, as_before);
        }
    }

    #[test]
    fn no_snapshot_whatever_is_in_it_makes_a_feed_panic_or_send_junk(
        etag in ".{0,300}", token in any::<usize>(), newest in any::<i64>(), interval_s in any::<u64>(), since in any::<i64>(), missed in any::<u64>(),
        marks in vec(any::<u64>(), 0..20),
    ) {
        let newest = DateTime::from_timestamp_millis(newest / 1000);
        let since = serde_json::json!({ "s": since, "m": missed });
        let Ok(coverage) = serde_json::from_value(since) else { return Ok(()) };
        let snapshot = FeedSnapshot {
            etag: Some(etag), token, newest, marks, coverage, interval_s: Some(interval_s), ..FeedSnapshot::default()
        };
        let mut feed = feed("events");
        if feed.resume(snapshot).is_ok() {
            let kept = feed.snapshot(300);
            prop_assert!(kept.etag.is_none_or(|etag| is_fit_etag(etag.as_bytes())));
            prop_assert!((1..=3600).contains(&feed.interval.as_secs()));
            prop_assert!((0.0..=1.0).contains(&feed.coverage.ratio(Utc::now())));
            poll(&mut feed, pages(300));
        }
    }
}
