//! Links between documents, their sizes, and the index.

use std::collections::BTreeSet;
use std::path::Path;

use super::{documents, is_code, read, root};
use crate::sources::text_below;

/// The targets of a document's links and images.
fn targets(text: &str) -> Vec<String> {
    let prose = text.lines().filter(|line| !is_code(line)).collect::<Vec<_>>().join("\n");
    prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in text.lines().filter(|line| line.starts_with('#')) {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept: String = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect();
        let anchor = kept.replace(' ', "-");
        let repeated = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(repeated).find(|anchor| !anchors.contains(anchor));
        anchors.insert(free.unwrap());
    }
    anchors
}

#[test]
fn every_link_between_documents_leads_to_a_file_and_a_heading() {
    let (mut broken, mut links) = (Vec::new(), 0);
    for document in documents() {
        let text = read(&document);
        for target in targets(&text).iter().filter(|target| !target.contains("://")) {
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&document).parent().unwrap();
            let linked = if path.is_empty() { Path::new(&document).to_owned() } else { folder.join(path) };
            let linked = linked.to_str().unwrap();
            if !root().join(linked).exists() {
                broken.push(format!("{document}: no file {target}"));
            } else if !anchor.is_empty() && !anchors(&read(linked)).contains(anchor) {
                broken.push(format!("{document}: no heading for {target}"));
            }
        }
    }
    assert!(links > 20, "{links}");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_document_that_a_source_names_exists() {
    let sources = text_below(&["src", "simulator", "tests", "benches"]);
    let others =
        ["docker-compose.yml", ".env.example", "Makefile", "Dockerfile", "lua/load_event.lua"].map(read);
    let mut named = 0;
    for text in others.iter().chain([&sources]) {
        for rest in text.split("docs/").skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
            if let Some(end) = name.find(".md") {
                named += 1;
                let path = format!("docs/{}", &name[..end + 3]);
                assert!(root().join(&path).exists(), "{path} is named and does not exist");
            }
        }
    }
    assert!(named > 3, "{named}");
}

#[test]
fn readme_is_short_and_links_every_document() {
    let readme = read("README.md");
    assert!(readme.len() <= 9_000, "README.md has {} bytes, at most 9,000 are good", readme.len());
    let targets: BTreeSet<String> = targets(&readme).into_iter().collect();
    for document in documents().iter().filter(|document| *document != "README.md") {
        assert!(targets.contains(document), "README.md does not link {document}");
    }
}

#[test]
fn the_architecture_fits_on_two_screens_before_its_table_of_invariants() {
    let text = read("ARCHITECTURE.md");
    let lines: Vec<_> = text.lines().collect();
    let table = lines.iter().position(|line| *line == "## Invariants").unwrap();
    assert!(table <= 100, "{table} lines before the invariants, at most 100 are good");
    assert!(lines.len() <= 150, "{} lines, at most 150 are good", lines.len());
}
