//! Prints dead letters by reason, as a table or as JSON.

use indicatif::HumanCount;

use super::super::table::{aligned, json};
use crate::config::ListFormat;
use crate::dead_letters::Group;
use crate::terminal::Escaped;

/// The text to print.
pub(super) fn show(groups: &[Group], format: ListFormat) -> String {
    match format {
        ListFormat::Json => json(groups),
        ListFormat::Table if groups.is_empty() => "no dead letters\n".to_owned(),
        ListFormat::Table => table(groups),
    }
}

fn table(groups: &[Group]) -> String {
    const REASON_CHARS_MAX: usize = 70;
    let dash = || "-".to_owned();
    let rows = groups.iter().map(|group| {
        let reason: String = group.reason.chars().take(REASON_CHARS_MAX).collect();
        [
            Escaped(&reason).to_string(),
            HumanCount(group.count).to_string(),
            group.attempts_max.to_string(),
            group.redrives_max.to_string(),
            Escaped(&group.first_failed_at.clone().unwrap_or_else(dash)).to_string(),
            Escaped(&group.last_failed_at.clone().unwrap_or_else(dash)).to_string(),
            Escaped(&group.ids.join(" ")).to_string(),
        ]
    });
    let head =
        ["REASON", "COUNT", "ATTEMPTS", "REDRIVES", "FIRST FAILED", "LAST FAILED", "IDS"].map(str::to_owned);
    aligned(std::iter::once(head).chain(rows).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Vec<Group> {
        let group = |reason: &str, count, attempts_max, last: &str, ids: &[&str]| Group {
            reason: reason.into(),
            count,
            attempts_max,
            redrives_max: 0,
            first_failed_at: Some("2026-01-01".into()),
            last_failed_at: Some(last.into()),
            ids: ids.iter().map(ToString::to_string).collect(),
        };
        vec![
            group("not-json: at column 17", 2, 1, "2026-01-02", &["1", "3"]),
            group("wrong\u{1b}[2J", 1, 5, "2026-01-01", &["2"]),
        ]
    }

    #[test]
    fn a_table_is_shown_escaped() {
        assert_eq!(
            show(&groups(), ListFormat::Table),
            "REASON                  COUNT  ATTEMPTS  REDRIVES  FIRST FAILED  LAST FAILED  IDS\n\
             not-json: at column 17  2      1         0         2026-01-01    2026-01-02   1 3\n\
             wrong\\u{1b}[2J          1      5         0         2026-01-01    2026-01-01   2\n"
        );
        assert_eq!(show(&[], ListFormat::Table), "no dead letters\n");
    }

    #[test]
    fn json_is_an_array_of_groups() {
        let json: serde_json::Value = serde_json::from_str(&show(&groups(), ListFormat::Json)).unwrap();
        assert_eq!(json[0]["count"], 2);
        assert_eq!(json[0]["ids"], serde_json::json!(["1", "3"]));
        assert_eq!(json[1]["reason"], "wrong\u{1b}[2J");
        assert_eq!(show(&[], ListFormat::Json), "[]\n");
    }
}
