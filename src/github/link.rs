//! The `Link` header: where the next page is (<https://www.rfc-editor.org/rfc/rfc8288>).
//!
//! It is read here, not by a library, because it is short and decides which server gets the token.

use url::Url;

/// The target of `rel="next"`, if it is at the origin of `asked`. A link elsewhere is ignored: our requests carry a
/// token, and no answer may choose who gets it.
pub(super) fn next_page(header: &str, asked: &Url) -> Option<Url> {
    let (target, _) = links(header).find(|(_, parameters)| is_next(parameters))?;
    let next = asked.join(target).ok()?;
    if !is_same_origin(&next, asked) {
        let elsewhere = next.origin().ascii_serialization();
        tracing::warn!(elsewhere, "a link to a next page at another server ({elsewhere}) is ignored");
        return None;
    }
    Some(next)
}

/// Same scheme, host and port, and no user of its own, which would replace our token.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin() && one.username().is_empty() && one.password().is_none()
}

/// Each link's target and parameters. A target may hold commas, so the brackets rule.
fn links(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split('<').skip(1).filter_map(|link| link.split_once('>'))
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').any(|parameter| {
        // The last parameter is followed by the comma before the next link.
        let (name, value) = parameter.trim().trim_end_matches(',').split_once('=').unwrap_or_default();
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_ascii_whitespace()
                .any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(header: &str) -> Option<String> {
        let asked = Url::parse("https://api.github.com/events?per_page=100").unwrap();
        next_page(header, &asked).map(String::from)
    }

    #[test]
    fn the_next_page_is_found_wherever_it_stands() {
        let page_2 = Some("https://api.github.com/events?per_page=100&page=2".to_owned());
        for header in [
            r#"<https://api.github.com/events?per_page=100&page=2>; rel="next", <https://api.github.com/events?per_page=100&page=3>; rel="last""#,
            r#"<https://api.github.com/events?page=1>; rel="prev", <https://api.github.com/events?per_page=100&page=2>; rel="next""#,
            "<https://api.github.com/events?per_page=100&page=2>;rel=next",
            r#"<?per_page=100&page=2> ; title="a" ; REL = "last NEXT" , <x>; rel="last""#,
            r#"<https://api.github.com:443/events?per_page=100&page=2>; rel="next""#,
        ] {
            assert_eq!(next(header), page_2, "{header}");
        }
    }

    #[test]
    fn links_without_a_next_and_links_to_other_servers_are_ignored() {
        for header in [
            "",
            "<",
            "<>",
            r#"<https://api.github.com/events?page=3>; rel="last""#,
            r#"<https://api.github.com/events?page=3>; title="rel=next""#,
            r#"<https://evil.example/events?page=2>; rel="next""#,
            r#"<//evil.example/events?page=2>; rel="next""#,
            r#"<http://api.github.com/events?page=2>; rel="next""#,
            r#"<https://api.github.com:8443/events?page=2>; rel="next""#,
            r#"<https://api.github.com@evil.example/>; rel="next""#,
            r#"<https://me:secret@api.github.com/events?page=2>; rel="next""#,
            r#"<data:,x>; rel="next""#,
            r#"<https://[broken>; rel="next""#,
        ] {
            assert_eq!(next(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_leads_to_another_server(header in "[<>;,=\" a-z:/@.?&0-9]{0,80}") {
            let asked = Url::parse("https://api.github.com/events").unwrap();
            let next = next_page(&header, &asked);
            prop_assert!(next.is_none_or(|next| next.origin() == asked.origin()));
        }
    }
}
