//! Events are written by strangers: what they write is shown, and does nothing.

use serde_json::{Value, json};

use super::Visit;
use crate::support::corner::Corner;

/// Markup, an end of a script, an address that is a script, a template, a mark that turns text round, a terminal's colour.
const HOSTILE: &str = "\"><img src=x onerror=window.pwned=1></script><script>window.pwned=1</script>\
    javascript:window.pwned=1 {{7*7}} \u{202e}gnp.exe\u{1b}[31m";

/// The same as the page shows it.
const SHOWN: &str = "\"><img src=x onerror=window.pwned=1></script><script>window.pwned=1</script>\
    javascript:window.pwned=1 {{7*7}} \\u{202e}gnp.exe␛[31m";

#[test]
fn hostile_text_in_every_field_is_shown_as_written_and_does_nothing() {
    let corner = Corner::new("hostile");
    let event = |id: u32, kind: &str, created_at: &str| {
        let text = json!({ "login": HOSTILE, "name": HOSTILE, "url": HOSTILE, "title": HOSTILE, "message": HOSTILE });
        let event = json!({
            "id": id.to_string(), "type": kind, "created_at": created_at, "public": HOSTILE,
            "actor": text, "repo": text, "org": text,
            "payload": { "action": HOSTILE, "ref": HOSTILE, "commits": [text], "pages": [text], "issue": text },
        });
        event.to_string().into_bytes()
    };
    let time = "2015-01-01T12:00:01Z";
    corner.publish(&[event(1, HOSTILE, time), event(2, "PushEvent", time), event(3, "IssuesEvent", time)]);
    // No time: this one cannot be loaded.
    corner.publish(&[event(4, "PushEvent", HOSTILE)]);
    let _loader = corner.loader(&[]);
    corner.wait_until_ready("load.dead", 1);

    let visit = Visit::of(&corner);
    let browser = &visit.browser;
    visit.until_well();
    browser.until("they are listed", "return document.querySelectorAll('#events .event').length === 3");
    assert_eq!(browser.texts("#events .actor"), [SHOWN, SHOWN, SHOWN]);
    assert_eq!(browser.texts("#events .repo"), [SHOWN, SHOWN, SHOWN]);
    let mut kinds = browser.texts("#events .kind");
    kinds.sort();
    assert_eq!(kinds, [SHOWN, "Issues", "Push"]);
    let mut what = browser.texts("#events .what");
    what.sort();
    let twice = format!("{SHOWN} {SHOWN}");
    assert_eq!(what[0], SHOWN);
    // Two texts in a line are longer than a line may be.
    assert!(
        what[1..].iter().all(|line| line.ends_with('…') && twice.starts_with(line.trim_end_matches('…'))),
        "{what:?}"
    );

    // Elsewhere too: as a developer, as the reason of a dead letter.
    browser.until_text("#leaderboard .who", |who| who == SHOWN);
    browser.until_text("#dead", |panel| panel.contains("created_at"));

    assert_eq!(browser.run("return typeof window.pwned"), "undefined");
    let made = browser.run("return document.querySelectorAll('main img, main script, main iframe').length");
    assert_eq!(made, 0, "elements made of text");
    let links = browser.run("return [...document.querySelectorAll('main a')].map((link) => link.href)");
    assert_eq!(links, json!([]), "a name that cannot be one at GitHub is no link");
    visit.went_quietly();
}

#[test]
fn what_is_hidden_in_text_is_marked_and_only_names_of_github_are_links() {
    let corner = Corner::new("text");
    let visit = Visit::of(&corner);
    let call = |function: &str, argument: &str| {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             import('/assets/text.js').then((text) => done(text.{function}({})), (error) => done(String(error)));",
            Value::from(argument)
        );
        visit.browser.run_async(&script)
    };
    let long = "é".repeat(300);
    let cut = format!("{}…", "é".repeat(200));
    let pile = format!("a{}", "\u{301}".repeat(100));
    let lower_pile = format!("a{}…", "\u{301}".repeat(11));
    for (text, shown) in [
        ("plain – ünd 日本語", "plain – ünd 日本語"),
        ("\u{0}\u{1b}\t\n\u{7f}", "␀␛␉␊␡"),
        ("\u{85}\u{9b}", "\\u{85}\\u{9b}"),
        ("\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}", "\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{2028}"),
        ("\u{3164}\u{e0041}", "\\u{3164}\\u{e0041}"),
        // Emoji of several people are one picture; elsewhere the character that joins them hides.
        ("👩\u{200d}👧 a\u{200d}b", "👩\u{200d}👧 a\\u{200d}b"),
        (&long, &cut),
        (&pile, &lower_pile),
    ] {
        assert_eq!(call("visible", text), shown, "{text:?}");
    }
    for (login, url) in [
        ("octocat", json!("https://github.com/octocat")),
        ("a-b_corp", json!("https://github.com/a-b_corp")),
        ("renovate[bot]", json!("https://github.com/apps/renovate")),
        ("", json!(null)),
        ("-a", json!(null)),
        ("a/b", json!(null)),
        ("a?b", json!(null)),
        ("javascript:alert(1)", json!(null)),
        ("octocat\n", json!(null)),
    ] {
        assert_eq!(call("accountUrl", login), url, "{login:?}");
    }
    for (name, url) in [
        ("octo/hello.world_2", json!("https://github.com/octo/hello.world_2")),
        ("octo", json!(null)),
        ("octo/..", json!(null)),
        ("octo/a/b", json!(null)),
        ("/octo/a", json!(null)),
        ("octo/a#b", json!(null)),
        ("octo/a\\b", json!(null)),
    ] {
        assert_eq!(call("repositoryUrl", name), url, "{name:?}");
    }
    visit.went_quietly();
}
