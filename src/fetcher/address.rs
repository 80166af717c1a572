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
        if self.renamed_to.is_none() {
            self.renamed_to = other_name(source, page);
        }
        let news = Some((target, self.renamed_to.clone()));
        if news == self.told {
            return None;
        }
        self.told = news;
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

    /// The feed does not exist where it was asked for. True if it should be asked for at its original address then.
    pub(super) fn is_missing(&mut self) -> bool {
        self.moved_to.take().is_some()
    }
}

/// The name of the newest event that does not name `source`. Older events may have the old name.
fn other_name(source: &Source, page: &[Vec<u8>]) -> Option<Source> {
    let named = page.iter().filter_map(|body| source.named_by(&Event::parse(body).ok()?));
    named.into_iter().find(|name| !name.to_string().eq_ignore_ascii_case(&source.to_string()))
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
}
