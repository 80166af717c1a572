//! Where a feed is asked for. GitHub redirects the feed of a renamed repository to an address without a name. Pure.

use url::Url;

use crate::config::Source;
use crate::event::Event;

/// The address of a feed's first page.
pub(super) struct Address {
    original: Url,
    moved_to: Option<Url>,
    /// The source's name by its own events, since GitHub redirects it.
    renamed_to: Option<Source>,
    /// The last redirect that was logged, and the name in that line.
    told: Option<(Url, Option<Source>)>,
}

impl Address {
    /// An address that GitHub has not redirected yet.
    pub(super) fn new(original: Url) -> Self {
        Self { original, moved_to: None, renamed_to: None, told: None }
    }

    /// Where to ask: where GitHub redirected the last good request to, so that one request suffices.
    pub(super) fn url(&self) -> &Url {
        self.moved_to.as_ref().unwrap_or(&self.original)
    }

    /// The name of the source now, if GitHub redirects it and its events have another name.
    pub(super) fn renamed_to(&self) -> Option<&Source> {
        self.renamed_to.as_ref()
    }

    /// Notes a good answer about `source`: a permanent redirect, and events of its first page. Returns the log line if there is
    /// news.
    pub(super) fn note(
        &mut self,
        source: &Source,
        moved_to: Option<Url>,
        page: &[Vec<u8>],
    ) -> Option<String> {
        self.moved_to = moved_to.or(self.moved_to.take());
        let target = self.moved_to.clone()?;
        if let Some(name) = newest_name(source, page) {
            let has_its_own = name.to_string().eq_ignore_ascii_case(&source.to_string());
            let renamed_before = std::mem::replace(&mut self.renamed_to, (!has_its_own).then_some(name));
            if let Some(name) = renamed_before.filter(|_| has_its_own) {
                self.moved_to = None;
                return Some(format!(
                    "{source} has its name again: its events have that name in place of {name}. It is polled at its own address"
                ));
            }
        }
        if !self.is_news(&target) {
            return None;
        }
        self.told = Some((target, self.renamed_to.clone()));
        let path = self.url().path();
        Some(match &self.renamed_to {
            Some(name) => format!(
                "{source} is {name} now: GitHub redirects its feed to {path}, and its events have that name. It is polled there; \
                 replace the source by {name}"
            ),
            None => format!(
                "{source} was renamed or moved: GitHub redirects its feed to {path}. It is polled there; its new name is logged \
                 when an event has it"
            ),
        })
    }

    /// The redirect to `target` was not logged yet, or not with the name that is known now.
    fn is_news(&self, target: &Url) -> bool {
        self.told.as_ref().is_none_or(|(told, name)| {
            told != target || (self.renamed_to.is_some() && self.renamed_to != *name)
        })
    }

    /// The feed does not exist where it was asked for. True if it should be asked for at its original address then. Another
    /// repository may have the name by now.
    pub(super) fn is_missing(&mut self) -> bool {
        self.renamed_to = None;
        self.moved_to.take().is_some()
    }
}

/// The name of the source by the newest event that has one. Older events may have an older name.
fn newest_name(source: &Source, page: &[Vec<u8>]) -> Option<Source> {
    page.iter().find_map(|body| source.named_by(&Event::parse(body).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(repository: &str) -> Vec<u8> {
        let head = r#"{"id":"1","type":"X","created_at":"2026-01-01T00:00:00Z","repo":{"name":"#;
        format!(r#"{head}"{repository}"}}}}"#).into_bytes()
    }

    #[test]
    fn a_rename_is_told_once_and_again_when_its_name_is_known() {
        let source: Source = "repos/o/old".parse().unwrap();
        let original: Url = "http://h/repos/o/old/events".parse().unwrap();
        let target: Url = "http://h/repositories/7/events".parse().unwrap();
        let mut address = Address::new(original.clone());
        assert_eq!(address.note(&source, None, &[event("o/other")]), None, "no redirect, no rename");
        let line = address.note(&source, Some(target.clone()), &[event("O/Old")]).unwrap();
        assert!(
            line.contains("repos/o/old was renamed") && line.contains("/repositories/7/events"),
            "{line}"
        );
        assert_eq!((address.url(), address.renamed_to()), (&target, None));
        assert_eq!(address.note(&source, None, &[]), None);
        let line = address.note(&source, None, &[event("o/new"), event("o/old")]).unwrap();
        assert!(line.starts_with("repos/o/old is repos/o/new now"), "{line}");
        assert_eq!(address.note(&source, Some(target.clone()), &[event("o/new")]), None);
        assert_eq!(address.renamed_to().unwrap().to_string(), "repos/o/new");

        assert!(address.is_missing() && address.url() == &original, "it goes back");
        assert!(!address.is_missing(), "and is asked for there once");
        assert_eq!(address.note(&source, Some(target), &[]), None, "the same redirect is no news");
    }

    #[test]
    fn the_name_is_that_of_the_newest_event_however_often_it_changes() {
        let source: Source = "repos/o/old".parse().unwrap();
        let original: Url = "http://h/repos/o/old/events".parse().unwrap();
        let target: Url = "http://h/repositories/7/events".parse().unwrap();
        let mut address = Address::new(original.clone());
        let mut note = |moved_to: Option<&Url>, names: &[&str]| {
            let page: Vec<_> = names.iter().map(|name| event(name)).collect();
            let line = address.note(&source, moved_to.cloned(), &page);
            let line = line.map(|line| line.split(':').next().unwrap().to_owned());
            (line, address.renamed_to().map(ToString::to_string), address.url() == &original)
        };
        let told = |line: &str| Some(format!("repos/o/old {line}"));
        let named = |name: &str| Some(format!("repos/o/{name}"));
        assert_eq!(
            note(Some(&target), &["o/new", "o/old"]),
            (told("is repos/o/new now"), named("new"), false)
        );
        assert_eq!(note(None, &[]), (None, named("new"), false));
        // It is renamed once more, and once more to its first name.
        let again = ["o/newer", "o/new", "o/old"];
        assert_eq!(note(None, &again), (told("is repos/o/newer now"), named("newer"), false));
        assert_eq!(note(None, &again), (None, named("newer"), false));
        assert_eq!(note(None, &["O/Old", "o/newer"]), (told("has its name again"), None, true));
        assert_eq!(note(None, &["o/old"]), (None, None, true));
        assert_eq!(note(Some(&target), &["o/new"]), (told("is repos/o/new now"), named("new"), false));
        // It is gone, and another repository has the first name.
        assert!(address.is_missing());
        assert_eq!((address.note(&source, None, &[event("o/old")]), address.renamed_to()), (None, None));
    }
}
