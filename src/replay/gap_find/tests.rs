use super::*;

/// A gap of some seconds of 2026-01-01, both given as `12:00:00`.
fn gap(source: &str, from: &str, to: &str, more: &str) -> Gap {
    let json = format!(
        r#"{{"source":"{source}","from":"2026-01-01T{from}Z","to":"2026-01-01T{to}Z","seconds":100,"detected_at":"2026-01-01T13:00:00Z","events_in_poll":300{more}}}"#
    );
    Gap::parse(json.as_bytes()).unwrap()
}

fn body(id: usize, at: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"A","created_at":"2026-01-01T{at}Z","actor":{{"login":"Me"}},"repo":{{"id":{},"name":"o/R{}"}},"org":{{"login":"O"}}}}"#,
        id % 3,
        id % 3
    )
}

fn hour(text: &str) -> Hour {
    text.parse().unwrap()
}

#[test]
fn every_gap_that_an_event_belongs_to_counts_it_as_comparing_with_each_gap_does() {
    let sources =
        ["events", "repos/O/r0", "repos/o/R1", "networks/o/r2", "orgs/o", "orgs/x", "users/ME", "users/x"];
    let times = [("12:00:00", "12:10:00"), ("12:05:00", "12:05:00"), ("12:30:00", "13:30:00")];
    let mut gaps = Vec::new();
    for source in sources {
        gaps.extend(times.map(|(from, to)| gap(source, from, to, "")));
    }
    gaps.push(gap("repos/old/name", "12:00:00", "12:20:00", r#","repo_id":2"#));
    gaps.push(gap("repos/o/r1", "12:00:00", "12:20:00", r#","repo_id":1"#));
    let finder = Finder::new(gaps.clone(), false);
    let mut expected = vec![0_u64; gaps.len()];
    for id in 0..900 {
        let at = format!("{:02}:{:02}:{:02}", 12 + id / 600, id / 10 % 60, id % 10 * 6);
        let body = body(id, &at);
        let event = Event::parse(body.as_bytes()).unwrap();
        let wanted: Vec<usize> = (0..gaps.len()).filter(|place| gaps[*place].wants(&event)).collect();
        wanted.iter().for_each(|place| expected[*place] += 1);
        assert_eq!(finder.wants(&event, hour("2026-01-01-13")), !wanted.is_empty(), "{body}");
    }
    let counts: Vec<u64> = finder.counts().map(|(_, count)| count).collect();
    assert_eq!(counts, expected);
    assert!(expected.iter().filter(|count| **count > 0).count() > 15, "{expected:?}");
}

#[test]
fn an_event_in_two_files_counts_once_and_is_wanted_again_only_from_a_mirror_alone() {
    for (each_once, again) in [(false, true), (true, false)] {
        let finder = Finder::new(vec![gap("events", "12:00:00", "12:00:09", "")], each_once);
        let body = body(1, "12:00:01");
        let event = Event::parse(body.as_bytes()).unwrap();
        assert!(finder.wants(&event, hour("2026-01-01-12")));
        assert_eq!(finder.wants(&event, hour("2026-01-01-13")), again);
        assert!(!finder.wants(&event, hour("2026-01-01-19")), "no file is so late");
        assert_eq!(finder.counts().map(|(_, count)| count).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn a_gap_had_as_many_events_as_its_source_was_busy_in_the_poll() {
    // 300 events in the 3,500 s from 12:01:40 to the poll at 13:00:00, and a gap of 100 s.
    assert_eq!(expected(&gap("repos/o/r", "12:00:00", "12:01:40", "")), Some(8));
    assert_eq!(expected(&gap("repos/o/r", "12:00:00", "13:00:00", "")), None);
}
