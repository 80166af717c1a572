//! Columns under each other.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_lines_have_no_blanks_at_their_end() {
        let row = |one: &str, two: &str| [one.to_owned(), two.to_owned()];
        assert_eq!(aligned(vec![row("A", "B"), row("größer", "")]), "A       B\ngrößer\n");
    }
}
