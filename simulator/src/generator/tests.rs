use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::*;

fn noon() -> DateTime<Utc> {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn some(generator: &mut Generator, count: usize) -> Vec<String> {
    (0..count).map(|_| generator.next_event(noon())).collect()
}

#[test]
fn every_documented_type_appears_and_about_half_are_pushes() {
    let mut counts = BTreeMap::<String, usize>::new();
    for raw in some(&mut Generator::new(1), 10_000) {
        let event: Value = serde_json::from_str(&raw).unwrap();
        *counts.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
        assert_eq!(event["created_at"], "2026-01-01T12:00:00Z");
        assert!(event["actor"]["login"].is_string() && event["repo"]["name"].is_string(), "{raw}");
        assert!(event["id"].as_str().unwrap().parse::<u64>().unwrap() < 1 << 53);
    }
    assert_eq!(counts.len(), payload::TYPES, "{counts:?}");
    assert!((4_500..6_000).contains(&counts["PushEvent"]), "{counts:?}");
}

#[test]
fn payloads_have_the_keys_of_today() {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let sorted = |text: &str| {
        let mut words: Vec<_> = text.split(' ').collect();
        words.sort_unstable();
        words.join(" ")
    };
    let mut actions = HashSet::new();
    for raw in some(&mut Generator::new(3), 2_000) {
        let event: Value = serde_json::from_str(&raw).unwrap();
        let payload = &event["payload"];
        match event["type"].as_str().unwrap() {
            "PushEvent" => assert_eq!(sorted(&keys(payload)), "before head push_id ref repository_id"),
            "CreateEvent" | "DeleteEvent" => assert!(payload.get("full_ref").is_some(), "{raw}"),
            "ForkEvent" => assert_eq!(payload["action"], "forked"),
            "PullRequestEvent" => {
                assert_eq!(sorted(&keys(&payload["pull_request"])), "base head id number url");
                actions.insert(payload["action"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    assert!(actions.contains("merged") && actions.contains("closed"), "{actions:?}");
}

#[test]
fn the_same_seed_makes_the_same_events_and_another_seed_others() {
    let events = some(&mut Generator::new(7), 200);
    assert_eq!(events, some(&mut Generator::new(7), 200));
    assert_ne!(events, some(&mut Generator::new(8), 200));
}

#[test]
fn ids_are_unique_and_not_sorted() {
    let ids: Vec<u64> = some(&mut Generator::new(1), 2_000)
        .iter()
        .map(|raw| serde_json::from_str::<Value>(raw).unwrap()["id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    assert!(!ids.is_sorted());
}

#[test]
fn the_mean_size_is_met_within_five_percent() {
    for target in [1_500, 2_900, 10_000] {
        let mut generator = Generator::new(1).with_mean_size(target);
        let total: usize = (0..10_000).map(|_| generator.next_event(noon()).len()).sum();
        let mean = total as f64 / 10_000.0;
        assert!((mean / f64::from(target) - 1.0).abs() < 0.05, "asked for {target}, got {mean}");
    }
}

#[test]
fn bots_organisations_and_popular_people_are_among_them() {
    let mut by_login = BTreeMap::<String, usize>::new();
    let mut with_org = 0;
    for raw in some(&mut Generator::new(1), 5_000) {
        let event: Value = serde_json::from_str(&raw).unwrap();
        with_org += usize::from(event.get("org").is_some());
        *by_login.entry(event["actor"]["login"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!((1_000..3_500).contains(&with_org), "{with_org}");
    assert!(by_login["github-actions[bot]"] > 100, "{:?}", by_login.get("github-actions[bot]"));
    assert!(by_login.len() > 500, "a long tail, not {} logins", by_login.len());
}
