//! Which events a page holds, and where the others are: GitHub's pagination
//! (<https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>).

use axum::http::Uri;

const PER_PAGE_DEFAULT: usize = 30;
const PER_PAGE_MAX: usize = 100;

/// The page a client asks for. Values that make no sense count as absent, as GitHub has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// From 1.
    pub page: usize,
    pub per_page: usize,
    /// The query without `page`, to be repeated in links.
    query: String,
}

impl Wanted {
    pub(super) fn of(uri: &Uri) -> Self {
        let mut wanted = Self { page: 1, per_page: PER_PAGE_DEFAULT, query: String::new() };
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = value.parse().ok().filter(|number| *number > 0);
            match name {
                "page" => wanted.page = number.unwrap_or(1),
                "per_page" => wanted.per_page = number.unwrap_or(PER_PAGE_DEFAULT).min(PER_PAGE_MAX),
                _ => {}
            }
            if name != "page" {
                wanted.query.push_str(pair);
                wanted.query.push('&');
            }
        }
        wanted
    }

    /// How many events come before the page's first.
    pub(super) fn start(&self) -> usize {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// The `Link` header for a feed of `total` events at `origin` (`http://host`) and `path`; none when one page is all.
    pub(super) fn links(&self, origin: &str, path: &str, total: usize) -> Option<String> {
        let last = total.div_ceil(self.per_page).max(1);
        let mut links = Vec::new();
        let mut link = |page: usize, rel: &str| {
            links.push(format!("<{origin}{path}?{}page={page}>; rel=\"{rel}\"", self.query));
        };
        if self.page > 1 {
            link(self.page.min(last + 1) - 1, "prev");
        }
        if self.page < last {
            link(self.page + 1, "next");
            link(last, "last");
        }
        if self.page > 1 {
            link(1, "first");
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Wanted {
        Wanted::of(&format!("/events{query}").parse().unwrap())
    }

    #[test]
    fn pages_hold_30_events_unless_asked_for_and_100_at_most() {
        for (query, page, per_page, start) in [
            ("", 1, 30, 0),
            ("?page=2", 2, 30, 30),
            ("?per_page=100&page=3", 3, 100, 200),
            ("?per_page=1000", 1, 100, 0),
            ("?per_page=0&page=0", 1, 30, 0),
            ("?per_page=x&page=-1", 1, 30, 0),
        ] {
            let wanted = wanted(query);
            assert_eq!((wanted.page, wanted.per_page, wanted.start()), (page, per_page, start), "{query}");
        }
    }

    #[test]
    fn links_are_those_that_github_sends() {
        let links = |query, total| wanted(query).links("http://h", "/events", total);
        assert_eq!(
            links("", 300).unwrap(),
            r#"<http://h/events?page=2>; rel="next", <http://h/events?page=10>; rel="last""#
        );
        assert_eq!(
            links("?per_page=100&page=2", 300).unwrap(),
            r#"<http://h/events?per_page=100&page=1>; rel="prev", <http://h/events?per_page=100&page=3>; rel="next", <http://h/events?per_page=100&page=3>; rel="last", <http://h/events?per_page=100&page=1>; rel="first""#
        );
        assert_eq!(
            links("?page=10", 300).unwrap(),
            r#"<http://h/events?page=9>; rel="prev", <http://h/events?page=1>; rel="first""#
        );
        assert_eq!(links("?per_page=100", 100), None);
        assert_eq!(links("", 0), None);
    }
}
