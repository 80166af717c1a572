//! The layout of the event log in a test: half of the stories have one, half the other, always the same for the same story.
//! `ETL_TEST_EVENT_LOG=per-event` or `per-second` gives all of them one.

pub const LAYOUTS: [&str; 2] = ["per-event", "per-second"];

/// The layout for a namespace.
pub fn of(namespace: &str) -> String {
    if let Ok(layout) = std::env::var("ETL_TEST_EVENT_LOG") {
        assert!(LAYOUTS.contains(&layout.as_str()), "ETL_TEST_EVENT_LOG is '{layout}'");
        return layout;
    }
    let namespace = namespace.trim_end_matches('}');
    // A corner's namespace ends in eight random digits.
    let story = &namespace.as_bytes()[..namespace.len().saturating_sub(8)];
    LAYOUTS[story.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 2].to_owned()
}
