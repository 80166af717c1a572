//! Payloads with text of people: issues, comments, discussions, wikis, releases.

use rand::RngExt as _;
use serde_json::{Value, json};

use super::payload::Draft;
use super::{code, text};

pub(super) fn issues(mut draft: Draft<'_>) -> Value {
    let action = draft.one_of(&["opened", "opened", "opened", "closed", "closed", "reopened", "labeled"]);
    let mut payload = json!({ "action": action, "issue": issue(&mut draft) });
    if action == "labeled" {
        let label = code::label(&mut draft);
        payload["labels"] = json!([label]);
        payload["label"] = label;
    }
    payload
}

pub(super) fn issue_comment(mut draft: Draft<'_>) -> Value {
    let comment = comment(&mut draft, "IC");
    json!({ "action": "created", "comment": comment, "issue": issue(&mut draft) })
}

pub(super) fn commit_comment(mut draft: Draft<'_>) -> Value {
    let mut comment = comment(&mut draft, "CC");
    comment["commit_id"] = text::sha(draft.rng).into();
    comment["path"] = Value::Null;
    comment["line"] = Value::Null;
    json!({ "action": "created", "comment": comment })
}

pub(super) fn discussion(mut draft: Draft<'_>) -> Value {
    let number = draft.number();
    json!({ "action": "created", "discussion": {
        "id": draft.id(), "node_id": draft.node_id("D"), "number": number, "title": text::title(draft.rng),
        "user": draft.scene.actor.as_user(), "state": "open", "locked": false, "comments": 0,
        "category": { "id": draft.id(), "name": "Q&A", "slug": "q-a", "emoji": ":pray:", "is_answerable": true },
        "html_url": format!("{}/discussions/{number}", draft.scene.repository.html_url()), "labels": [],
        "created_at": draft.created_at, "updated_at": draft.created_at, "body": draft.body(),
    }})
}

pub(super) fn gollum(mut draft: Draft<'_>) -> Value {
    let page = text::word(draft.rng);
    json!({ "pages": [{
        "page_name": page, "title": page, "summary": draft.body(), "action": draft.one_of(&["created", "edited"]),
        "sha": text::sha(draft.rng), "html_url": format!("{}/wiki/{page}", draft.scene.repository.html_url()),
    }]})
}

pub(super) fn release(mut draft: Draft<'_>) -> Value {
    let tag = format!(
        "v{}.{}.{}",
        draft.rng.random_range(0..9),
        draft.rng.random_range(0..40),
        draft.rng.random_range(0..9)
    );
    let id = draft.id();
    let repository = draft.scene.repository;
    json!({ "action": "published", "release": {
        "url": format!("{}/releases/{id}", repository.url()), "id": id, "node_id": draft.node_id("RE"),
        "html_url": format!("{}/releases/tag/{tag}", repository.html_url()), "tag_name": tag,
        "target_commitish": "main", "name": format!("{tag} 🎉"), "draft": false, "prerelease": false,
        "author": draft.scene.actor.as_user(), "created_at": draft.created_at, "published_at": draft.created_at,
        "assets": [], "tarball_url": format!("{}/tarball/{tag}", repository.url()),
        "zipball_url": format!("{}/zipball/{tag}", repository.url()), "body": draft.body(),
        "short_description_html": "<p>See the changelog &amp; enjoy.</p>", "is_short_description_html_truncated": false,
    }})
}

fn issue(draft: &mut Draft<'_>) -> Value {
    let number = draft.number();
    let url = format!("{}/issues/{number}", draft.scene.repository.url());
    let author = draft.cast.account(draft.rng);
    json!({
        "id": draft.id(), "node_id": draft.node_id("I"), "number": number, "title": text::title(draft.rng),
        "user": author.as_user(), "state": draft.one_of(&["open", "closed"]), "state_reason": null,
        "labels": [code::label(draft)], "assignee": null, "assignees": [], "milestone": null, "locked": false,
        "comments": draft.rng.random_range(0..40), "created_at": draft.created_at, "updated_at": draft.created_at,
        "closed_at": null, "author_association": "NONE", "body": draft.body(),
        "html_url": format!("{}/issues/{number}", draft.scene.repository.html_url()),
        "comments_url": format!("{url}/comments"), "url": url,
    })
}

fn comment(draft: &mut Draft<'_>, node: &str) -> Value {
    let id = draft.id();
    json!({
        "id": id, "node_id": draft.node_id(node), "user": draft.scene.actor.as_user(), "body": draft.body(),
        "created_at": draft.created_at, "updated_at": draft.created_at, "author_association": "CONTRIBUTOR",
        "url": format!("{}/comments/{id}", draft.scene.repository.url()),
    })
}
