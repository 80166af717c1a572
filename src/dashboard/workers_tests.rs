use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
}

fn status(instance: &str, second: i64, loaded: u64) -> Status {
    let loader = LoaderStatus {
        loaded,
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
        sent_at: at(second),
        ready: true,
        problems: Vec::new(),
        last_error: None,
        last_error_at: None,
        loader: Some(loader),
        fetcher: None,
    }
}

fn hear(workers: &mut Workers, status: &Status, second: i64) {
    workers.hear(&serde_json::to_vec(status).unwrap(), at(second));
}

#[test]
fn totals_and_rates_add_up_over_loaders_and_outlive_them() {
    let mut workers = Workers::default();
    for (second, loaded) in [(2, 10), (4, 30), (6, 50), (8, 50)] {
        hear(&mut workers, &status("a", second, loaded), second);
        hear(&mut workers, &status("b", second, loaded * 2), second);
    }
    let summary = workers.summary(at(8));
    assert_eq!(summary.totals.loaded, 150);
    assert_eq!(summary.loaded_per_second, 25.0);
    assert_eq!(summary.lag, (None, Some(100.0)), "the worst");
    assert_eq!(workers.list()[0].rates["loaded_per_second"], 0.0);
    assert_eq!(workers.history()[1].types["PushEvent"], 60);
    workers.tick(at(500));
    assert!(workers.list().is_empty());
    assert_eq!(workers.summary(at(500)).totals.loaded, 150);
    assert_eq!(workers.summary(at(500)).problems, ["no loader is at work"]);
}

#[test]
fn what_an_old_program_loaded_before_we_listened_is_no_peak() {
    let mut workers = Workers::default();
    hear(&mut workers, &status("a", 1000, 5_000_000), 1000);
    assert_eq!(workers.history()[0].loaded, 0);
    assert_eq!(workers.summary(at(1000)).totals.loaded, 5_000_000);
    hear(&mut workers, &status("a", 1000, 5_000_000), 1001);
    hear(&mut workers, &status("a", 999, 1), 1002);
    assert_eq!(workers.summary(at(1002)).totals.loaded, 5_000_000, "what comes late is not news");
}

#[test]
fn problems_name_who_has_them_and_silence_is_one_only_while_we_listen() {
    let mut workers = Workers::default();
    assert!(workers.summary(at(0)).problems.is_empty());
    let mut troubled = status("a", 2, 0);
    troubled.problems = vec!["Redis at h:1: refused".into()];
    hear(&mut workers, &troubled, 2);
    assert_eq!(workers.summary(at(2)).problems, ["loader on h (process 7): Redis at h:1: refused"]);
    assert_eq!(workers.summary(at(600)).problems.len(), 1, "nobody listened");
    workers.tick(at(30));
    assert_eq!(workers.summary(at(30)).problems, ["no loader is at work"]);
}

#[test]
fn nonsense_and_floods_are_bounded() {
    let mut workers = Workers::default();
    workers.hear(b"", at(1));
    workers.hear(b"{\"program\":1}", at(1));
    let mut wide = status("wide", 1, 1);
    wide.loader.as_mut().unwrap().types = (0..1000).map(|n| (n.to_string(), 1)).collect();
    hear(&mut workers, &wide, 1);
    assert!(workers.list().is_empty());
    for n in 0..1000 {
        let mut long = status(&n.to_string(), 1, 1);
        long.last_error = Some("ü".repeat(10_000));
        long.problems = vec!["x".repeat(10_000); 100];
        hear(&mut workers, &long, 1);
    }
    assert_eq!(workers.list().len(), WORKERS_MAX);
    let shown = serde_json::to_string(&workers.list()[0]).unwrap();
    assert!(shown.len() < 15_000, "{}", shown.len());
}
