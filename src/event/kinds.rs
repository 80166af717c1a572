//! The types of events that GitHub documents.

/// <https://docs.github.com/en/rest/using-the-rest-api/github-event-types>, and two that feeds and archives still hold.
pub const KINDS: [&str; 18] = [
    "CommitCommentEvent",
    "CreateEvent",
    "DeleteEvent",
    "DiscussionEvent",
    "ForkEvent",
    "GollumEvent",
    "IssueCommentEvent",
    "IssuesEvent",
    "MemberEvent",
    "PublicEvent",
    "PullRequestEvent",
    "PullRequestReviewCommentEvent",
    "PullRequestReviewEvent",
    "PullRequestReviewThreadEvent",
    "PushEvent",
    "ReleaseEvent",
    "SponsorshipEvent",
    "WatchEvent",
];

/// The place of a type in [`KINDS`]. None for a type that GitHub does not document, or that is newer than this program.
pub fn place_of_kind(kind: &str) -> Option<usize> {
    KINDS.binary_search(&kind).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_and_no_other() {
        assert!(KINDS.is_sorted());
        for (place, kind) in KINDS.iter().enumerate() {
            assert_eq!(place_of_kind(kind), Some(place));
        }
        assert_eq!((place_of_kind(""), place_of_kind("pushevent")), (None, None));
    }
}
