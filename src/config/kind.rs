//! Types of events as users write them.

use crate::event::KINDS;

/// Edits that make one type of another: a slip of the finger, or of the shift key.
const SLIPS_MAX: usize = 2;
const LENGTH_MAX: usize = 64;

/// One type of GitHub's events. A mistyped one would silently match nothing, so only two sorts are taken: types that GitHub
/// documents, and those written as GitHub writes them that resemble none of these, because GitHub adds types and has had others.
pub(super) fn event_type(text: &str) -> Result<String, String> {
    let kind = text.trim();
    if KINDS.contains(&kind) {
        return Ok(kind.to_owned());
    }
    if let Some(meant) = meant_by(kind) {
        return Err(format!("GitHub has no such type of events; did you mean {meant}?"));
    }
    let is_plain = kind.chars().all(|c| c.is_ascii_alphanumeric()) && kind.len() <= LENGTH_MAX;
    let is_written_so = kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.ends_with("Event");
    if is_plain && is_written_so && kind != "Event" {
        return Ok(kind.to_owned());
    }
    Err(format!("must be types of GitHub's events: {}", KINDS.join(", ")))
}

/// The types among `kinds` that GitHub does not document: perhaps new or gone, perhaps mistyped.
pub fn undocumented<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    kinds.into_iter().filter(|kind| !KINDS.contains(kind)).collect()
}

/// The type that a user of the text `kind` means.
fn meant_by(kind: &str) -> Option<&'static str> {
    let lower = kind.to_ascii_lowercase();
    if lower.len() > LENGTH_MAX {
        return None;
    }
    let slips = |known: &str| {
        let known = known.to_ascii_lowercase();
        let whole = strsim::damerau_levenshtein(&known, &lower);
        let short = known
            .strip_suffix("event")
            .map_or(usize::MAX, |short| strsim::damerau_levenshtein(short, &lower));
        // Of a short word, two edits leave nothing.
        whole.min(if short * 3 < lower.len() { short } else { usize::MAX })
    };
    KINDS
        .into_iter()
        .map(|known| (slips(known), known))
        .filter(|(slips, _)| *slips <= SLIPS_MAX)
        .min()
        .map(|best| best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_github_documents_is_taken_and_what_it_may_have_had_or_will_have_too() {
        for kind in
            KINDS.into_iter().chain([" PushEvent", "TeamAddEvent", "DownloadEvent", "MergeQueueEntryEvent"])
        {
            assert_eq!(event_type(kind).as_deref(), Ok(kind.trim()));
        }
        assert_eq!(undocumented(["PushEvent", "TeamAddEvent"]), ["TeamAddEvent"]);
    }

    #[test]
    fn a_near_miss_is_named() {
        for (text, meant) in [
            ("pushevent", "PushEvent"),
            ("PushEvents", "PushEvent"),
            ("PsuhEvent", "PushEvent"),
            ("Push", "PushEvent"),
            ("watch", "WatchEvent"),
            ("IssueEvent", "IssuesEvent"),
            ("PullRequestReviewCommentsEvent", "PullRequestReviewCommentEvent"),
        ] {
            let error = event_type(text).unwrap_err();
            assert!(error.ends_with(&format!("did you mean {meant}?")), "{text}: {error}");
        }
    }

    #[test]
    fn anything_else_is_no_type() {
        for bad in
            ["", " ", "Event", "nosuch", "Push Event", "a.b", "push_event_", "ÄEvent", &"x".repeat(100)]
        {
            assert!(event_type(bad).is_err(), "{bad:?}");
        }
    }
}
