use super::*;

fn feed() -> Feed {
    // The provider may be installed already, by another test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    Feed::new("events".parse().unwrap(), &client)
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
    }
}

fn failed() -> End {
    End::Failed { reason: "it answered 502".into() }
}

#[test]
fn the_etag_and_the_overlap_are_remembered_after_whole_polls_only() {
    for end in [failed(), End::Limited { status: None }, End::Denied, End::Missing { status: 404 }] {
        let mut feed = feed();
        feed.remember(found(&[1]), &end, &[]);
        assert_eq!((feed.etag.as_deref(), feed.memory.newest()), (None, None), "{end:?}");
        assert!(feed.memory.is_published(1) && !feed.memory.is_walked(1));
    }
    let mut feed = feed();
    feed.remember(found(&[1]), &End::Whole, &[]);
    assert_eq!(feed.etag.as_deref(), Some("\"e\""));
    assert!(feed.memory.is_walked(1) && feed.memory.newest().is_some());
    let nothing = Found { etag: None, newest: None, ..found(&[]) };
    feed.remember(nothing, &End::NotModified, &[]);
    assert_eq!(feed.etag.as_deref(), Some("\"e\""), "a 304 keeps what it was asked with");
    assert!(feed.memory.newest().is_some());
}

#[test]
fn good_polls_keep_the_interval_and_bad_ones_back_off() {
    let mut feed = feed();
    let answered = feed.answered;
    let now = answered + s(3);
    let due = |feed: &mut Feed, end: End| {
        feed.schedule(&end, s(60), now);
        feed.due
    };
    assert_eq!(due(&mut feed, End::Whole), answered + s(60));
    assert_eq!(due(&mut feed, End::NotModified), answered + s(60));
    assert_eq!(due(&mut feed, End::Limited { status: Some(429) }), now);
    assert_eq!(due(&mut feed, End::Missing { status: 404 }), now + s(300));
    let delays: Vec<_> = (0..12).map(|_| due(&mut feed, failed()) - now).collect();
    assert!(delays[0] <= s(4) && delays[11] >= s(60) && delays[11] <= s(181), "{delays:?}");
    feed.schedule(&End::Whole, s(60), now);
    assert!(due(&mut feed, failed()) <= now + s(4), "a good poll starts the delays over");
    feed.requests = 2;
    assert!(
        due(&mut feed, failed()) >= answered + s(60),
        "the first page is not asked for sooner than allowed"
    );
}

#[test]
fn every_fault_says_what_to_do() {
    assert_eq!((End::Whole.fault(), End::NotModified.fault()), (None, None));
    assert!(End::Denied.fault().unwrap().contains("GITHUB_TOKEN"));
    assert!(End::Missing { status: 404 }.fault().unwrap().contains("404"));
    assert!(End::Limited { status: Some(403) }.fault().unwrap().contains("403"));
    assert!(failed().fault().unwrap().contains("502"));
}
