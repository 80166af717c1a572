//! Payloads about branches, commits and pull requests.

use rand::RngExt as _;
use serde_json::{Value, json};

use super::payload::Draft;
use super::text;

pub(super) fn push(mut draft: Draft<'_>) -> Value {
    let branch = branch(&mut draft);
    json!({
        "repository_id": draft.scene.repository.id,
        "push_id": draft.rng.random_range(25_000_000_000..30_000_000_000u64),
        "ref": format!("refs/heads/{branch}"),
        "head": text::sha(draft.rng),
        "before": text::sha(draft.rng),
    })
}

pub(super) fn create(mut draft: Draft<'_>) -> Value {
    let ref_type = draft.one_of(&["branch", "branch", "branch", "tag", "repository"]);
    let (name, full_ref) = reference(&mut draft, ref_type);
    let description = draft.rng.random_ratio(2, 3).then(|| draft.body());
    json!({
        "ref": name, "ref_type": ref_type, "full_ref": full_ref, "master_branch": "main",
        "description": description, "pusher_type": "user",
    })
}

pub(super) fn delete(mut draft: Draft<'_>) -> Value {
    let ref_type = draft.one_of(&["branch", "branch", "branch", "tag"]);
    let (name, full_ref) = reference(&mut draft, ref_type);
    json!({ "ref": name, "ref_type": ref_type, "full_ref": full_ref, "pusher_type": "user" })
}

pub(super) fn pull_request(mut draft: Draft<'_>) -> Value {
    let action =
        draft.one_of(&["opened", "opened", "opened", "merged", "merged", "closed", "reopened", "labeled"]);
    let number = draft.number();
    let mut payload = json!({ "action": action, "number": number, "pull_request": slim(&mut draft, number) });
    if action == "labeled" {
        let label = label(&mut draft);
        payload["labels"] = json!([label]);
        payload["label"] = label;
    }
    payload
}

pub(super) fn review(mut draft: Draft<'_>) -> Value {
    let number = draft.number();
    let pull_request = slim(&mut draft, number);
    let id = draft.id();
    json!({ "action": "created", "pull_request": pull_request, "review": {
        "id": id, "node_id": draft.node_id("PRR"), "user": draft.scene.actor.as_user(), "body": draft.body(),
        "commit_id": text::sha(draft.rng), "submitted_at": draft.created_at, "updated_at": draft.created_at,
        "state": draft.one_of(&["commented", "approved", "changes_requested"]),
        "html_url": format!("{}/pull/{number}#pullrequestreview-{id}", draft.scene.repository.html_url()),
        "pull_request_url": format!("{}/pulls/{number}", draft.scene.repository.url()),
    }})
}

pub(super) fn review_comment(mut draft: Draft<'_>) -> Value {
    let number = draft.number();
    let pull_request = slim(&mut draft, number);
    let comment = line_comment(&mut draft, number);
    json!({ "action": "created", "pull_request": pull_request, "comment": comment })
}

pub(super) fn review_thread(mut draft: Draft<'_>) -> Value {
    let number = draft.number();
    let pull_request = slim(&mut draft, number);
    let comment = line_comment(&mut draft, number);
    json!({
        "action": draft.one_of(&["resolved", "unresolved"]), "pull_request": pull_request,
        "thread": { "node_id": draft.node_id("PRRT"), "comments": [comment] },
    })
}

/// A label as issues and pull requests carry it.
pub(super) fn label(draft: &mut Draft<'_>) -> Value {
    let name = draft.one_of(&["bug", "enhancement", "good first issue", "🔥 urgent", "dependencies"]);
    json!({
        "id": draft.id(), "node_id": draft.node_id("LA"), "name": name, "color": "d73a4a", "default": false,
        "url": format!("{}/labels/{}", draft.scene.repository.url(), name.replace(' ', "%20")),
        "description": null,
    })
}

/// A pull request with the five keys it has since October 2025.
fn slim(draft: &mut Draft<'_>, number: u32) -> Value {
    let url = format!("{}/pulls/{number}", draft.scene.repository.url());
    let branch = branch(draft);
    let repository = draft.scene.repository;
    let repo = json!({ "id": repository.id, "url": repository.url(), "name": repository.short_name() });
    json!({
        "id": draft.id(), "number": number, "url": url,
        "head": { "ref": branch, "sha": text::sha(draft.rng), "repo": repo },
        "base": { "ref": "main", "sha": text::sha(draft.rng), "repo": repo },
    })
}

fn line_comment(draft: &mut Draft<'_>, number: u32) -> Value {
    let id = draft.id();
    let commit = text::sha(draft.rng);
    json!({
        "id": id, "node_id": draft.node_id("PRRC"), "user": draft.scene.actor.as_user(), "body": draft.body(),
        "path": format!("src/{}.rs", text::word(draft.rng)), "commit_id": commit, "original_commit_id": commit,
        "diff_hunk": "@@ -10,7 +10,7 @@ impl Client {\n-        let url = base.join(path)?;\n+        let url = base.join(\"/v2\")?;",
        "position": draft.rng.random_range(1..200), "created_at": draft.created_at, "updated_at": draft.created_at,
        "html_url": format!("{}/pull/{number}#discussion_r{id}", draft.scene.repository.html_url()),
        "pull_request_url": format!("{}/pulls/{number}", draft.scene.repository.url()),
    })
}

fn branch(draft: &mut Draft<'_>) -> String {
    match draft.rng.random_range(0..10) {
        0..=5 => "main".to_owned(),
        6 => "master".to_owned(),
        7 => "feature/größe-ändern-✨".to_owned(),
        _ => format!(
            "{}/{}-{}",
            draft.one_of(&["fix", "feat", "dependabot/cargo"]),
            text::word(draft.rng),
            draft.number()
        ),
    }
}

/// A reference's short and full name; a new repository has neither.
fn reference(draft: &mut Draft<'_>, ref_type: &str) -> (Option<String>, Option<String>) {
    match ref_type {
        "tag" => {
            let tag = format!("v{}.{}.0", draft.rng.random_range(0..9), draft.rng.random_range(0..40));
            let full_ref = format!("refs/tags/{tag}");
            (Some(tag), Some(full_ref))
        }
        "branch" => {
            let branch = branch(draft);
            let full_ref = format!("refs/heads/{branch}");
            (Some(branch), Some(full_ref))
        }
        _ => (None, None),
    }
}
