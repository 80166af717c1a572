//! Finds a secret in any form that a program might show it in. It stands alone, so that the simulator's tests use it too.

/// Stands at the front of every secret, so that no form of it goes unnoticed.
pub const CANARY: &str = "k4n4ry";

/// Asserts that no form of a secret stands in `text`.
#[track_caller]
pub fn is_clean(what: &str, place: &str, text: &str) {
    let found = text.lines().find(|line| forms().iter().any(|form| line.contains(form)));
    let shown = found.map(|line| line.chars().take(2_000).collect::<String>());
    assert!(found.is_none(), "{what}: {place} shows a secret: {shown:?}");
}

/// The canary as text, as Rust shows bytes, in hexadecimal, and in base64 wherever it may begin.
fn forms() -> Vec<String> {
    let bytes = CANARY.as_bytes();
    let debug = format!("{bytes:?}");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // "k4n4ry" after 0, 1 and 2 other bytes of a group of three, without the characters that neighbours take part in.
    let base64 = ["azRuNHJ5", "s0bjRyeQ"[..7].into(), "rNG40cn"].map(str::to_owned);
    [CANARY.to_owned(), debug[1..debug.len() - 1].to_owned(), hex].into_iter().chain(base64).collect()
}
