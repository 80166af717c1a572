use super::*;

/// An event that happened `second` seconds after noon.
fn event(second: u32) -> Vec<u8> {
    let (minute, rest) = (second / 60, second % 60);
    format!(r#"{{"id":"{second}","type":"PushEvent","created_at":"2026-01-01T12:{minute:02}:{rest:02}Z"}}"#)
        .into_bytes()
}

/// A page of the events of these seconds, newest first, with a next page.
fn page(seconds: impl DoubleEndedIterator<Item = u32>) -> Page {
    let next = Some("https://api.github.com/events?page=2".parse().unwrap());
    Page { elements: seconds.rev().map(event).collect(), etag: Some("\"e\"".into()), next }
}

fn copy(page: &Page) -> Page {
    Page { elements: page.elements.clone(), etag: page.etag.clone(), next: page.next.clone() }
}

fn last(page: Page) -> Page {
    Page { next: None, ..page }
}

/// Walks the pages until the walk ends, and says whether it is whole.
fn walk(memory: &Memory, pages: impl IntoIterator<Item = Page>) -> (Walk, bool) {
    let mut walk = Walk::default();
    for page in pages {
        if walk.take(page, memory) == Step::Whole {
            return (walk, true);
        }
    }
    (walk, false)
}

/// Walks, and remembers as the fetcher does; gives what was published.
fn poll(memory: &mut Memory, pages: impl IntoIterator<Item = Page>) -> Vec<String> {
    let (walk, is_whole) = walk(memory, pages);
    let found = walk.into_found();
    if is_whole {
        memory.remember_walked(&found.marks, found.newest, found.tail);
    } else {
        memory.remember_ahead(&found.marks);
    }
    found.elements.into_iter().map(|element| element.event.map_or("?".into(), |event| event.id)).collect()
}

fn ids(seconds: std::ops::Range<u32>) -> Vec<String> {
    seconds.map(|second| second.to_string()).collect()
}

#[test]
fn the_first_poll_walks_three_pages_publishes_oldest_first_and_has_no_gap() {
    let mut memory = Memory::default();
    let pages = || [page(20..30), page(10..20), page(0..10), page(0..1)];
    let (walked, is_whole) = walk(&memory, pages());
    assert!(is_whole);
    assert_eq!((walked.pages, walked.gaps(&memory, None)), (3, vec![]));
    assert_eq!(poll(&mut memory, pages()), ids(0..30));
}

#[test]
fn a_walk_stops_at_the_page_that_overlaps_and_publishes_only_what_is_new() {
    let mut memory = Memory::default();
    poll(&mut memory, [last(page(0..10))]);
    let (walked, is_whole) = walk(&memory, [page(15..25), page(5..15), page(0..5)]);
    assert!(is_whole);
    assert_eq!((walked.pages, walked.already_seen, walked.gaps(&memory, None)), (2, 5, vec![]));
    assert_eq!(walked.into_found().elements.len(), 15);
}

#[test]
fn a_page_that_moved_on_between_two_requests_gives_nothing_twice() {
    let mut memory = Memory::default();
    assert_eq!(poll(&mut memory, [page(10..20), last(page(0..13))]), ids(0..20));
}

#[test]
fn without_an_overlap_the_gap_lies_between_the_newest_known_and_the_oldest_of_the_poll() {
    let mut memory = Memory::default();
    poll(&mut memory, [last(page(0..10))]);
    let (walked, _) = walk(&memory, [page(300..310), page(200..300), page(100..200)]);
    let gap = walked.gaps(&memory, None).remove(0);
    assert_eq!((gap.seconds(), gap.events_in_poll), (91, 210));
    // An event that came hours late does not hide it.
    let mut straggling = last(page(100..110));
    straggling.elements.push(br#"{"id":"x","type":"X","created_at":"2026-01-01T09:00:00Z"}"#.to_vec());
    assert_eq!(walk(&memory, [straggling]).0.gaps(&memory, None)[0].seconds(), 91);
}

#[test]
fn the_gap_of_a_feed_that_was_quiet_for_months_begins_six_hours_before_its_last_poll() {
    let mut memory = Memory::default();
    poll(&mut memory, [last(page(0..10))]);
    let at = |text: &str| Some(text.parse().unwrap());
    let from = |polled: Option<DateTime<Utc>>, busy: &str| {
        let event = format!(r#"{{"id":"x","type":"PushEvent","created_at":"{busy}"}}"#).into_bytes();
        let page = Page { elements: vec![event], ..last(page(0..0)) };
        walk(&memory, [page]).0.gaps(&memory, polled).remove(0).from.to_rfc3339()
    };
    assert_eq!(from(at("2026-09-01T11:00:00Z"), "2026-09-01T12:00:00Z"), "2026-09-01T05:00:00+00:00");
    assert_eq!(from(None, "2026-09-01T12:00:00Z"), "2026-01-01T12:00:09+00:00");
    assert_eq!(from(at("2026-01-01T12:01:00Z"), "2026-01-01T13:00:00Z"), "2026-01-01T12:00:09+00:00");
    // Recorded events, which are older than all polls.
    assert_eq!(from(at("2036-01-01T12:00:00Z"), "2026-01-01T13:00:00Z"), "2026-01-01T12:00:09+00:00");
}

#[test]
fn what_slips_by_between_two_requests_of_a_poll_is_a_gap() {
    let memory = Memory::default();
    let seconds = |pages: Vec<Page>| {
        let gaps = walk(&memory, pages).0.gaps(&memory, None);
        gaps.iter().map(|gap| (gap.from.timestamp() % 3600, gap.to.timestamp() % 3600)).collect::<Vec<_>>()
    };
    // More than a page's worth happened in between: what should be older is newer, and 30 to 39 were on neither.
    assert_eq!(seconds(vec![page(20..30), page(40..50), last(page(30..40))]), [(29, 40)]);
    assert_eq!(seconds(vec![page(20..30), page(40..50), page(60..70)]), [(29, 40), (49, 60)]);
    // A page that repeats something, or goes on where the last one began, has missed nothing.
    assert_eq!(seconds(vec![page(20..30), page(25..35), last(page(10..20))]), []);
    assert_eq!(seconds(vec![page(20..30), page(10..20), last(page(0..10))]), []);
}

#[test]
fn an_empty_feed_is_whole_and_no_gap_and_leaves_no_etag() {
    let mut memory = Memory::default();
    poll(&mut memory, [last(page(0..10))]);
    let (walked, is_whole) = walk(&memory, [last(page(0..0))]);
    assert!(is_whole && walked.gaps(&memory, None).is_empty());
    assert_eq!(walked.into_found().etag, None, "the next poll must not be answered 304");
}

#[test]
fn a_poll_that_broke_off_is_not_published_again_and_does_not_pass_for_an_overlap() {
    let mut memory = Memory::default();
    poll(&mut memory, [last(page(0..10))]);
    assert_eq!(poll(&mut memory, [page(20..30)]), ids(20..30), "broke off after the first page");
    // The next poll must walk past the page that was published, down to what the last whole poll saw.
    assert_eq!(
        poll(&mut memory, [page(25..35), page(15..25), last(page(5..15))]),
        [ids(10..20), ids(30..35)].concat()
    );
    assert_eq!(poll(&mut memory, [page(25..35)]), ids(0..0));
}

#[test]
fn what_is_not_an_event_is_published_once_and_is_no_overlap() {
    let mut memory = Memory::default();
    let with_garbage = |seconds: std::ops::Range<u32>| {
        let mut page = page(seconds);
        page.elements.extend([b"null".to_vec(), b"{}".to_vec()]);
        page
    };
    assert_eq!(poll(&mut memory, [last(with_garbage(0..2))]), ["?", "?", "0", "1"]);
    let (walked, is_whole) = walk(&memory, [with_garbage(8..9), last(with_garbage(7..8))]);
    assert!(is_whole);
    assert_eq!((walked.pages, walked.not_events), (2, 0));
    assert!(!walked.gaps(&memory, None).is_empty());
    assert_eq!(poll(&mut memory, [with_garbage(8..9), last(with_garbage(7..8))]), ["7", "8"]);
}

/// The same as [`walk`], by a sweep.
fn sweep(memory: &Memory, pages: impl IntoIterator<Item = Page>) -> Walk {
    let mut walk = Walk::sweep();
    let _ = pages.into_iter().find(|page| walk.take(copy(page), memory) == Step::Whole);
    walk
}

fn published(walk: Walk) -> Vec<String> {
    let elements = walk.into_found().elements;
    elements.into_iter().map(|element| element.event.map_or("?".into(), |event| event.id)).collect()
}

/// All of these seconds but some, which come late.
fn without(seconds: std::ops::Range<u32>, late: std::ops::Range<u32>) -> Vec<u32> {
    seconds.filter(|second| !late.contains(second)).collect()
}

#[test]
fn a_sweep_goes_on_below_the_overlap_and_finds_what_came_late() {
    let mut memory = Memory::default();
    let of = |seconds: &[u32]| page(seconds.iter().copied());
    poll(&mut memory, [of(&without(200..300, 205..207)), page(100..200), page(0..100)]);
    let now = || [page(210..310), page(110..210), page(10..110)];
    let plain = walk(&memory, now()).0;
    assert_eq!((plain.pages, published(plain)), (1, ids(300..310)), "a plain walk stops at the overlap");
    let swept = sweep(&memory, now());
    assert_eq!((swept.pages, swept.gaps(&memory, None), swept.already_seen), (3, vec![], 288));
    assert_eq!(published(swept), [ids(205..207), ids(300..310)].concat(), "oldest first, each once");
}

#[test]
fn a_sweep_finds_the_gaps_that_a_plain_walk_finds_and_no_others() {
    let mut memory = Memory::default();
    poll(&mut memory, [page(200..300), page(100..200), page(0..100)]);
    for pages in [
        || vec![page(250..350), page(150..250), page(50..150)],
        || vec![page(400..500), page(300..400), page(200..300)],
        || vec![page(900..1000), page(800..900), page(700..800)],
        || vec![page(300..400), page(420..520), page(320..420)],
        || vec![page(299..399), last(page(0..0))],
    ] {
        assert_eq!(sweep(&memory, pages()).gaps(&memory, None), walk(&memory, pages()).0.gaps(&memory, None));
    }
}

#[test]
fn a_page_below_the_overlap_that_shows_news_is_left_to_the_next_poll() {
    let mut memory = Memory::default();
    poll(&mut memory, [page(200..300), page(100..200), page(0..100)]);
    // 250 events happen between the first two requests: what is on the second page does not follow on what is on the first.
    let found = sweep(&memory, [page(210..310), page(360..460), page(260..360)]);
    assert_eq!((found.pages, found.gaps(&memory, None)), (1, vec![]));
    let found = found.into_found();
    memory.remember_walked(&found.marks, found.newest, found.tail);
    assert_eq!(poll(&mut memory, [page(460..560), page(360..460), page(260..360)]), ids(310..560));
}

#[test]
fn a_sweep_of_a_small_feed_ends_where_the_feed_ends() {
    let mut memory = Memory::default();
    poll(&mut memory, [last(page(0..10))]);
    let swept = sweep(&memory, [last(page(5..15))]);
    assert_eq!((swept.pages, swept.meets_before(), published(swept)), (1, true, ids(10..15)));
}

#[test]
fn elements_that_rabbitmq_could_not_take_are_counted_and_left_out() {
    let memory = Memory::default();
    let elements = vec![vec![b' '; ELEMENT_BYTES_MAX + 1], event(1)];
    let (walked, _) = walk(&memory, [Page { elements, ..Page::default() }]);
    assert_eq!((walked.too_large, walked.into_found().elements.len()), (1, 1));
}

#[test]
fn bodies_are_the_bytes_that_came_and_the_etag_is_the_first_pages() {
    let body = br#"{ "id" : "7","type":"X", "created_at":"2026-01-01T12:00:00Z","x":1e2 }"#;
    let first = Page { elements: vec![body.to_vec()], ..page(0..0) };
    let second = Page { etag: Some("\"other\"".into()), ..last(page(1..2)) };
    let found = walk(&Memory::default(), [first, second]).0.into_found();
    assert_eq!(found.elements[1].body, body);
    assert_eq!(found.etag.as_deref(), Some("\"e\""));
}

#[test]
fn an_event_of_the_year_9999_is_passed_on_and_hides_no_gap() {
    let mut memory = Memory::default();
    let hoax = br#"{"id":"hoax","type":"PushEvent","created_at":"9999-12-31T23:59:59Z"}"#.to_vec();
    let mut first = last(page(0..10));
    first.elements.insert(0, hoax);
    let published = poll(&mut memory, [first]);
    assert_eq!(published.len(), 11, "the loaders say why it is no event");
    let (walked, _) = walk(&memory, [last(page(20..30))]);
    assert_eq!(walked.gaps(&memory, None).len(), 1, "up to 9 s and from 20 s on is known");
}
