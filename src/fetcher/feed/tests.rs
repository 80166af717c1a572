use super::super::fixture_tests as fixture;
use super::super::tokens::{Standing, TokenPool};
use super::super::walk::{Step, Walk};
use super::asking::{Asking, Request};
use super::*;
use crate::github::{Answer, Hints, Page, Quota};

fn feed() -> Feed {
    fixture::feed("events", &fixture::client())
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn found(marks: &[u64]) -> Found {
    Found {
        elements: Vec::new(),
        marks: marks.to_vec(),
        newest: Some("2026-01-01T12:00:00Z".parse().unwrap()),
        etag: Some("\"e\"".into()),
        tail: None,
    }
}

fn refused() -> PollEnd {
    PollEnd::Refused { status: 403 }
}

fn failed() -> PollEnd {
    PollEnd::Failed { reason: "it answered 502".into() }
}

#[test]
fn the_etag_and_the_overlap_are_remembered_after_whole_polls_only() {
    let others =
        [PollEnd::Limited { status: None }, PollEnd::Denied, PollEnd::Missing { status: 404 }, refused()];
    for end in others.into_iter().chain([failed()]) {
        let mut feed = feed();
        feed.remember(found(&[1]), &end, &[]);
        assert_eq!((feed.etag.as_deref(), feed.memory.newest()), (None, None), "{end:?}");
        assert!(feed.memory.is_published(1) && !feed.memory.is_walked(1));
    }
    let mut feed = feed();
    feed.remember(found(&[1]), &PollEnd::Whole, &[]);
    assert_eq!(feed.etag.as_deref(), Some("\"e\""));
    assert!(feed.memory.is_walked(1) && feed.memory.newest().is_some());
    let nothing = Found { etag: None, newest: None, ..found(&[]) };
    feed.remember(nothing, &PollEnd::NotModified, &[]);
    assert_eq!(feed.etag.as_deref(), Some("\"e\""), "a 304 keeps what it was asked with");
    assert!(feed.memory.newest().is_some());
}

#[test]
fn an_etag_is_sent_only_with_the_token_that_got_it_also_by_the_next_process() {
    let mut feed = feed();
    let [first, second] = [0, 1].map(TokenNumber::at);
    feed.token = second;
    feed.remember(found(&[1]), &PollEnd::Whole, &[]);
    assert_eq!((feed.etag_for(first), feed.etag_for(second).as_deref()), (None, Some("\"e\"")));
    let mut next = self::feed();
    next.resume(feed.snapshot(10)).unwrap();
    assert_eq!((next.etag_for(first), next.etag_for(second).as_deref()), (None, Some("\"e\"")));
    assert_eq!(next.choose_token(&mut TokenPool::new(2), next.due), second, "it takes that token");
    assert_eq!(next.choose_token(&mut TokenPool::new(1), next.due), first, "which is gone");
}

#[test]
fn good_polls_keep_the_interval_and_bad_ones_back_off() {
    let mut feed = feed();
    let answered = feed.answered;
    let now = answered + s(3);
    let due = |feed: &mut Feed, end: PollEnd| {
        feed.schedule(&end, s(60), false, now);
        feed.due
    };
    assert_eq!(due(&mut feed, PollEnd::Whole), answered + s(60));
    assert_eq!(due(&mut feed, PollEnd::NotModified), answered + s(60));
    assert_eq!(due(&mut feed, PollEnd::Limited { status: Some(429) }), now);
    assert_eq!(due(&mut feed, PollEnd::Missing { status: 404 }), now + s(300));
    let delays: Vec<_> = (0..12).map(|_| due(&mut feed, failed()) - now).collect();
    assert!(delays[0] <= s(4) && delays[11] >= s(60) && delays[11] <= s(181), "{delays:?}");
    feed.schedule(&PollEnd::Whole, s(60), false, now);
    assert!(due(&mut feed, failed()) <= now + s(4), "a good poll starts the delays over");
    feed.requests = 2;
    assert!(
        due(&mut feed, failed()) >= answered + s(60),
        "the first page is not asked for sooner than allowed"
    );
}

#[test]
fn a_source_that_is_refused_or_missing_is_asked_less_and_less_often_until_it_answers() {
    let mut feed = feed();
    let now = feed.answered;
    let mut waits = |end: PollEnd, times: usize| -> Vec<u64> {
        let mut wait = |_| {
            feed.schedule(&end, s(30), false, now);
            (feed.due - now).as_secs()
        };
        (0..times).map(&mut wait).collect()
    };
    assert_eq!(waits(refused(), 8), [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    assert_eq!(waits(PollEnd::NotModified, 1), [30]);
    assert_eq!(waits(PollEnd::Missing { status: 404 }, 6), [300, 600, 1200, 2400, 3600, 3600]);
    assert_eq!(waits(PollEnd::Whole, 1), [30]);
    assert_eq!(waits(refused(), 1), [60], "a good poll starts the waits over");
    feed.schedule(&refused(), s(7200), false, now);
    assert_eq!(feed.due, now + s(7200), "not sooner than a source that gives events");
}

#[test]
fn a_source_in_trouble_that_a_tight_plan_put_off_for_weeks_is_polled_soon_when_the_plan_is_loose_again() {
    for (end, wait_s) in [(refused(), 60), (failed(), 2)] {
        let mut feed = feed();
        let now = feed.answered;
        feed.plan(s(860 * 3600));
        feed.schedule(&end, s(860 * 3600), false, now);
        feed.due = feed.due.max(now + s(430 * 3600));
        feed.plan(s(600));
        assert!(feed.due <= now + s(600) && feed.due >= now + s(wait_s) / 2, "{:?}", feed.due - now);
        feed.plan(s(7200));
        assert!(feed.due <= now + s(600), "a plan does not put it off");
    }
}

#[test]
fn a_sweep_is_due_after_its_time_while_the_quota_is_ample_and_over_when_a_walk_was_whole() {
    let mut feed = feed();
    let (ample, start) = (TokenPool::new(1), feed.swept);
    assert!(!feed.begin_walk(&ample, Instant::now()).sweeps(), "not at the start");
    feed.swept = start - s(600);
    assert!(feed.begin_walk(&ample, Instant::now()).sweeps());
    let mut scarce = TokenPool::new(1);
    let quota = Quota { remaining: 30, limit: Some(60), resets_in: s(900) };
    let hints = Hints { quota: Some(quota), ..Hints::default() };
    scarce.learn(
        &feed.source,
        TokenNumber::default(),
        &Answer { outcome: Outcome::NotModified, hints, moved_to: None },
        start,
    );
    assert!(!feed.begin_walk(&scarce, Instant::now()).sweeps());
    for end in [PollEnd::NotModified, failed()] {
        let walk = feed.begin_walk(&ample, Instant::now());
        assert_ne!(feed.end_walk(&walk, end, start), PollEnd::Whole);
        assert!(feed.begin_walk(&ample, Instant::now()).sweeps(), "it did not look below");
    }
    let walk = feed.begin_walk(&ample, Instant::now());
    assert_eq!(feed.end_walk(&walk, PollEnd::Whole, start), PollEnd::Whole);
    assert!(!feed.begin_walk(&ample, Instant::now()).sweeps());
}

#[test]
fn a_sweep_that_breaks_off_below_the_overlap_is_a_whole_poll() {
    let mut feed = feed();
    let page = || {
        let body = br#"{"id":"1","type":"X","created_at":"2026-01-01T12:00:00Z"}"#.to_vec();
        Page { elements: vec![body], next: Some("http://127.0.0.1:1/?page=2".parse().unwrap()), etag: None }
    };
    for sees_overlap in [false, true] {
        let mut walk = Walk::sweep();
        assert!(matches!(walk.take(page(), &feed.memory), Step::Next(_)));
        assert_eq!(feed.end_walk(&walk, failed(), feed.answered) == PollEnd::Whole, sees_overlap);
        feed.remember(walk.into_found(), &PollEnd::Whole, &[]);
    }
}

#[test]
fn every_fault_says_what_to_do() {
    assert_eq!((PollEnd::Whole.fault(), PollEnd::NotModified.fault()), (None, None));
    assert!(PollEnd::Denied.fault().unwrap().contains("GITHUB_TOKEN"));
    assert!(PollEnd::Missing { status: 404 }.fault().unwrap().contains("404"));
    assert!(refused().fault().unwrap().contains("SAML"));
    assert!(PollEnd::Limited { status: Some(403) }.fault().unwrap().contains("403"));
    assert!(failed().fault().unwrap().contains("502"));
}

#[test]
fn a_source_that_keeps_others_waiting_for_its_failures_is_asked_less_and_less_often() {
    let mut feed = feed();
    let failed = || PollEnd::Failed { reason: "no answer within 30 s".into() };
    let mut waits = |took: u64, others_answer: bool, times: usize| -> Vec<u64> {
        (0..times)
            .map(|_| {
                let now = feed.asked + s(took);
                feed.schedule(&failed(), s(60), others_answer, now);
                (feed.due - now).as_secs()
            })
            .collect()
    };
    assert_eq!(waits(30, true, 8), [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    assert!(waits(30, false, 8).iter().all(|wait| *wait <= 180), "nobody else waits");
    assert!(waits(1, true, 8).iter().all(|wait| *wait <= 180), "it fails at once");
}

/// An answer to a token whose only event was created so many seconds after `start`, so many seconds after `start`.
fn answer_to(token: usize, feed: &mut Feed, pool: &mut TokenPool, start: Moment, created_s: i64, at_s: u64) {
    let created = (start.utc + chrono::TimeDelta::seconds(created_s)).to_rfc3339();
    let event = format!(r#"{{"id":"{created_s}","type":"X","created_at":"{created}"}}"#).into_bytes();
    let page = Page { elements: vec![event], ..Page::default() };
    let answer = Answer { outcome: Outcome::Page(page), hints: Hints::default(), moved_to: None };
    let now = Moment { instant: start.instant + s(at_s), utc: start.utc + s(at_s) };
    let mut walk = feed.begin_walk(pool, now.instant);
    let request = Request { page: feed.address.url().clone(), etag: None, token: TokenNumber::at(token - 1) };
    let asking = feed.take(&mut walk, request, answer, pool, now);
    assert!(matches!(asking, Asking::Over(PollEnd::Whole)));
}

#[test]
fn a_token_with_old_answers_is_taken_back_by_a_source_with_news_and_not_by_a_quiet_one() {
    let (mut loud, mut quiet, mut pool) = (feed(), feed(), TokenPool::new(2));
    let start = Moment::now();
    let standing = |pool: &TokenPool| pool.reports(start.instant).next().unwrap().standing;
    answer_to(1, &mut quiet, &mut pool, start, -900, 0);
    for (token, created_s, at_s) in [(1, 0, 0), (1, -600, 60), (1, -600, 120), (1, -600, 180), (2, 200, 240)]
    {
        answer_to(token, &mut loud, &mut pool, start, created_s, at_s);
    }
    assert_eq!(standing(&pool), Standing::Old, "another token gets newer answers");
    for at_s in [1200, 2100, 3000] {
        assert_eq!(pool.choose(&quiet.source, None, start.instant + s(at_s)), TokenNumber::at(0), "a trial");
        answer_to(1, &mut quiet, &mut pool, start, -900, at_s);
        assert_eq!(standing(&pool), Standing::Old, "{at_s}: the source had no event in the meantime");
    }
    answer_to(2, &mut quiet, &mut pool, start, 3100, 3200);
    answer_to(1, &mut quiet, &mut pool, start, 241, 3900);
    assert_eq!(standing(&pool), Standing::Old, "newer than before, and still old");
    answer_to(1, &mut quiet, &mut pool, start, 3100, 4800);
    assert_eq!(standing(&pool), Standing::Good);
}
