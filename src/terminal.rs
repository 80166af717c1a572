//! Text from GitHub on a terminal: control characters are shown, never sent.

use std::fmt;

/// Displays `0` with every control and direction-changing character escaped (`\u{1b}`), so that hostile text in an
/// event cannot move the cursor, set colours, or rename the window of a terminal.
pub struct Escaped<'a>(pub &'a str);

impl Escaped<'_> {
    /// True for characters that need no escape.
    pub fn is_safe(c: char) -> bool {
        !is_unsafe(c)
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if is_unsafe(c) { write!(f, "{}", c.escape_unicode())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// C0, DEL and C1 controls, and the invisible characters that reorder or hide text (Unicode TR36, TR9).
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_control_character_comes_out_of_any_text_and_plain_text_comes_out_as_it_was(
            hostile in proptest::collection::vec(any::<char>(), 0..50),
            splinter in "[\\x00-\\x20\\x7f-\\xa0\\u{200b}-\\u{206f}a]{0,20}",
        ) {
            let text = hostile.into_iter().collect::<String>() + &splinter;
            let shown = Escaped(&text).to_string();
            prop_assert!(!shown.contains(is_unsafe), "{shown:?}");
            prop_assert!(shown.len() <= text.len() * 6, "bounded by what came");
            // Safe characters stay, so escaping twice is the same as escaping once.
            prop_assert_eq!(Escaped(&shown).to_string(), shown);
        }
    }

    #[test]
    fn escapes_are_shown_and_plain_text_is_kept() {
        assert_eq!(Escaped("a\x1b[2Jb\u{9b}c\n").to_string(), r"a\u{1b}[2Jb\u{9b}c\u{a}");
        assert_eq!(Escaped("naïve 🚀 [bot]").to_string(), "naïve 🚀 [bot]");
        assert_eq!(Escaped("x\u{202e}y").to_string(), r"x\u{202e}y");
    }
}
