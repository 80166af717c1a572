use chrono::Utc;

use super::super::fixture_tests as fixture;
use super::*;

/// So many feeds that were polled before, and are due now, and as many that never were.
fn known_and_new(each: usize, now: Instant) -> Feeds {
    let mut feeds = fixture::feeds(2 * each, &fixture::client());
    for feed in &mut feeds.all[..each] {
        feed.activity.resume(None, Some(Utc::now()));
        feed.due = now;
    }
    feeds
}

#[test]
fn sources_of_a_long_list_that_were_never_polled_leave_half_of_the_time_to_known_ones() {
    let (each, started) = (200, Moment::now());
    let now = |after_s: u64| started.instant + Duration::from_secs(after_s);
    let mut feeds = known_and_new(each, now(1));
    let (first, _) = feeds.next(now(1)).unwrap();
    assert!(first >= each, "a new one has waited longer");
    let done = Done {
        end: &PollEnd::NotModified,
        seen: &Seen::default(),
        gaps: &[],
        answered_before: started.instant,
        swept: false,
        requests_took: Duration::from_secs(3),
    };
    feeds.polled(first, &done, Moment { instant: now(2), ..started });
    let is_known = |feeds: &mut Feeds, after_s| feeds.next(now(after_s)).unwrap().0 < each;
    assert!(is_known(&mut feeds, 2) && is_known(&mut feeds, 4));
    assert!(!is_known(&mut feeds, 5));
    feeds.all[..each].iter_mut().for_each(|feed| feed.due = now(60));
    assert!(!is_known(&mut feeds, 3), "no time is left unused");
}
