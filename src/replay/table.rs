//! Formats lists: as a table for people, and as JSON for programs.

use serde::Serialize;

use crate::terminal::is_unsafe;

/// Lines of `rows`, each column as wide as its widest cell; the first row is the head.
pub(super) fn aligned<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// An array of `rows`. People may read it on a terminal, so control characters that JSON allows are escaped as well.
pub(super) fn json(rows: &[impl Serialize]) -> String {
    // Our own strings and numbers: this cannot fail.
    let json = serde_json::to_string_pretty(rows).unwrap_or_default() + "\n";
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unsafe(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_and_holds_no_control_character() {
        let rows = ["\u{1b}[2J\u{9b}2J\u{202e}", "größer\n"];
        let shown = json(&rows);
        assert_eq!(shown, "[\n  \"\\u001b[2J\\u009b2J\\u202e\",\n  \"größer\\n\"\n]\n");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), rows);
    }

    #[test]
    fn columns_stand_under_each_other_and_lines_have_no_blanks_at_their_end() {
        let row = |one: &str, two: &str| [one.to_owned(), two.to_owned()];
        assert_eq!(aligned(vec![row("A", "B"), row("größer", "")]), "A       B\ngrößer\n");
    }
}
