use std::sync::LazyLock;

use super::*;

/// The time of day at the program's and at our clock, if nobody sets them.
fn at(second: i64) -> DateTime<Utc> {
    moment(u64::try_from(second).unwrap()).at
}

fn moment(second: u64) -> Moment {
    static START: LazyLock<Moment> = LazyLock::new(Moment::now);
    START.plus(second, 0)
}

fn status(instance: &str, second: u64, loaded: u64) -> Status {
    let loader = LoaderStatus {
        totals: Totals { loaded, ..Totals::default() },
        types: [("PushEvent".to_owned(), loaded)].into(),
        lag_p95_s: Some(f64::from(u32::try_from(loaded).unwrap())),
        ..LoaderStatus::default()
    };
    Status {
        program: "loader".into(),
        instance: instance.into(),
        host: "h".into(),
        pid: 7,
        version: "0.1.0".into(),
        started_at: at(0),
        sent_at: moment(second).at,
        sequence: second,
        ready: true,
        problems: Vec::new(),
        last_error: None,
        last_error_at: None,
        loader: Some(loader),
        fetcher: None,
    }
}

fn hear(workers: &mut Workers, status: &Status, second: u64) {
    workers.hear(&serde_json::to_vec(status).unwrap(), moment(second));
}

fn listening() -> Workers {
    let mut workers = Workers::of_queue("load");
    workers.begin_to_listen(moment(0));
    workers
}

#[test]
fn totals_and_rates_add_up_over_loaders_and_outlive_them() {
    let mut workers = listening();
    for (second, loaded) in [(2, 10), (4, 30), (6, 50), (8, 50)] {
        hear(&mut workers, &status("a", second, loaded), second);
        hear(&mut workers, &status("b", second, loaded * 2), second);
    }
    let summary = workers.summary();
    assert_eq!(summary.totals.loaded, 150);
    assert_eq!(summary.loaded_per_second, 25.0);
    assert_eq!(summary.lag, (None, Some(100.0)), "the worst");
    assert_eq!(workers.list()[0].rates["loaded_per_second"], 0.0);
    assert_eq!(workers.history()[1].types["PushEvent"], 60);
    workers.tick(moment(500));
    assert!(workers.list().is_empty());
    assert_eq!(workers.summary().totals.loaded, 150);
    assert_eq!(workers.summary().problems, ["no loader is at work"]);
}

#[test]
fn loaders_of_another_load_queue_are_listed_and_not_counted() {
    let mut workers = listening();
    for second in [2, 4, 6] {
        let mut other = status("other", second, second * 1000);
        other.loader.as_mut().unwrap().queue = Some("eu".into());
        other.problems = vec!["Redis at eu:1: refused".into()];
        hear(&mut workers, &other, second);
    }
    workers.tick(moment(30));
    let summary = workers.summary();
    assert_eq!((summary.totals.loaded, summary.lag), (0, (None, None)));
    assert_eq!(summary.loaded_per_second, 0.0);
    assert_eq!(summary.problems, ["no loader is at work"]);
    assert_eq!(workers.list().len(), 1);
    workers.tick(moment(500));
    assert_eq!(workers.summary().totals.loaded, 0, "not from the past either");
}

#[test]
fn what_an_old_program_loaded_before_we_listened_is_no_peak() {
    let mut workers = Workers::of_queue("load");
    hear(&mut workers, &status("a", 1000, 5_000_000), 1000);
    assert_eq!(workers.history()[0].loaded, 0);
    assert_eq!(workers.summary().totals.loaded, 5_000_000);
    hear(&mut workers, &status("a", 1000, 5_000_000), 1001);
    hear(&mut workers, &status("a", 999, 1), 1002);
    assert_eq!(workers.summary().totals.loaded, 5_000_000, "what comes late is not news");
}

#[test]
fn problems_name_who_has_them_and_silence_is_one_only_while_we_listen() {
    let mut workers = listening();
    assert!(workers.summary().problems.is_empty());
    let mut troubled = status("a", 2, 0);
    troubled.problems = vec!["Redis at h:1: refused".into()];
    hear(&mut workers, &troubled, 2);
    assert_eq!(workers.summary().problems, ["loader on h (process 7): Redis at h:1: refused"]);
    workers.tick(moment(30));
    assert_eq!(workers.summary().problems, ["no loader is at work"]);
}

#[test]
fn nonsense_and_floods_are_bounded() {
    let mut workers = Workers::of_queue("load");
    workers.hear(b"", moment(1));
    workers.hear(b"{\"program\":1}", moment(1));
    let mut wide = status("wide", 1, 1);
    wide.loader.as_mut().unwrap().types = (0..1000).map(|n| (n.to_string(), 1)).collect();
    hear(&mut workers, &wide, 1);
    assert!(workers.list().is_empty());
    for n in 0..WORKERS_MAX + 10 {
        let mut long = status(&n.to_string(), 1, 1);
        long.last_error = Some("ü".repeat(10_000));
        long.loader.as_mut().unwrap().queue = Some("x".repeat(10_000));
        long.problems = vec!["x".repeat(10_000); 100];
        hear(&mut workers, &long, 1);
    }
    assert_eq!(workers.list().len(), WORKERS_MAX);
    let shown = serde_json::to_string(&workers.list()[0]).unwrap();
    assert!(shown.len() < 15_000, "{}", shown.len());
}

#[test]
fn who_comes_back_after_a_long_silence_counts_once() {
    let mut workers = listening();
    hear(&mut workers, &status("a", 20, 1000), 20);
    for second in 21..=200 {
        workers.tick(moment(second));
    }
    assert!(workers.list().is_empty(), "it is forgotten");
    assert_eq!(workers.summary().totals.loaded, 1000);
    hear(&mut workers, &status("a", 210, 1010), 210);
    assert_eq!(workers.summary().totals.loaded, 1010);
    assert!(workers.history().iter().all(|step| step.loaded == 0), "no peak");
}

#[test]
fn while_rabbitmq_is_away_nobody_is_silent_and_nothing_counts_twice() {
    let mut workers = listening();
    hear(&mut workers, &status("a", 2, 1000), 2);
    // Ten minutes without RabbitMQ.
    workers.begin_to_listen(moment(600));
    for second in 600..640 {
        workers.tick(moment(second));
        assert_eq!(
            workers.summary().problems,
            [] as [&str; 0],
            "programs wait before they try to tell again"
        );
    }
    hear(&mut workers, &status("a", 640, 1500), 640);
    assert_eq!(workers.summary().totals.loaded, 1500);
    assert_eq!(workers.summary().problems, [] as [&str; 0]);
    // The same, and it does not come back.
    workers.begin_to_listen(moment(1000));
    workers.tick(moment(1060));
    assert_eq!(workers.summary().problems, ["no loader is at work"]);
}

#[test]
fn a_programs_clock_that_is_set_back_neither_silences_it_nor_counts_it_twice() {
    let mut workers = listening();
    for second in (2..400).step_by(2) {
        let mut told = status("a", second, second * 10);
        if second >= 20 {
            told.sent_at -= TimeDelta::minutes(10);
        }
        workers.tick(moment(second));
        hear(&mut workers, &told, second);
        let summary = workers.summary();
        assert_eq!((summary.totals.loaded, summary.problems.len()), (second * 10, 0), "at {second}");
    }
    assert_eq!(workers.list()[0].rates["loaded_per_second"], 10.0);
    assert_eq!(workers.summary().loaded_per_second, 10.0);
}

#[test]
fn our_own_clock_that_is_set_silences_nobody() {
    let mut workers = listening();
    for (second, off_s) in [(2, 0), (4, 3600), (6, -3600), (8, -3600)] {
        let now = moment(0).plus(second, off_s);
        workers.hear(&serde_json::to_vec(&status("a", second, second)).unwrap(), now);
        workers.tick(now);
        let summary = workers.summary();
        assert_eq!((summary.totals.loaded, summary.problems.len()), (second, 0), "at {second}");
    }
    workers.tick(moment(0).plus(30, -3600));
    assert_eq!(workers.summary().problems, ["no loader is at work"]);
}

#[test]
fn an_instance_whose_numbers_begin_anew_is_heard_again_soon() {
    let mut workers = listening();
    hear(&mut workers, &status("a", 500, 100), 500);
    hear(&mut workers, &status("a", 2, 50), 502);
    assert_eq!(workers.summary().totals.loaded, 100, "it may be late");
    hear(&mut workers, &status("a", 14, 60), 514);
    assert_eq!(workers.summary().totals.loaded, 60);
}
