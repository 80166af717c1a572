//! The graph of the library's rooms: no circle, and the absences that ARCHITECTURE.md lists.
//!
//! A room is a module of the crate's root. A room uses another when its production code has a path `crate::other…`.

use std::collections::{BTreeMap, BTreeSet};

use super::sources;

/// A place where one room uses another.
struct Use {
    from: String,
    to: String,
    /// File, line and its text.
    place: String,
}

/// The first segment of a module's path, which is its room; nothing for `lib.rs`, the binaries and the simulator.
fn room_of(path: &str) -> Option<&str> {
    let first = path.split('/').next().unwrap().trim_end_matches(".rs");
    (!["lib", "bin", "simulator"].contains(&first)).then_some(first)
}

fn rooms() -> BTreeSet<String> {
    sources().iter().filter_map(|source| room_of(&source.path)).map(str::to_owned).collect()
}

/// The identifier at the start of `text`.
fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The byte positions behind every `prefix` in `code` that begins a path.
fn behind<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = usize> + 'a {
    let begins =
        |at: usize| !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    code.match_indices(prefix).map(|(at, _)| at).filter(move |at| begins(*at)).map(|at| at + prefix.len())
}

/// The names after `prefix`, such as `crate::`, in `code`: one, or those of a group in braces. With their byte positions.
fn named<'a>(code: &'a str, prefix: &'a str) -> Vec<(usize, &'a str)> {
    let mut names = Vec::new();
    for start in behind(code, prefix) {
        if !code[start..].starts_with('{') {
            names.push((start, identifier(&code[start..])));
            continue;
        }
        let (mut depth, mut is_item) = (0, false);
        for (offset, c) in code[start..].char_indices() {
            match c {
                '{' => (depth, is_item) = (depth + 1, depth == 0),
                '}' => depth -= 1,
                ',' => is_item = depth == 1,
                c if is_item && !c.is_whitespace() => {
                    names.push((start + offset, identifier(&code[start + offset..])));
                    is_item = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// Every use of a room by another, in the order of the sources.
fn uses() -> Vec<Use> {
    let rooms = rooms();
    assert!(rooms.len() > 15, "{rooms:?}");
    let mut uses = Vec::new();
    for source in sources() {
        let Some(room) = room_of(&source.path) else { continue };
        let code: String = source.code.iter().map(|(_, line)| format!("{line}\n")).collect();
        for (at, name) in named(&code, "crate::") {
            let (number, line) = &source.code[code[..at].matches('\n').count()];
            let place = format!("{}:{number}: {}", source.file, line.trim());
            assert!(rooms.contains(name), "{place}\n'{name}' is no room");
            if name != room {
                uses.push(Use { from: room.to_owned(), to: name.to_owned(), place });
            }
        }
    }
    assert!(uses.len() > 100, "{}", uses.len());
    uses
}

/// A circle among the rooms, as the uses along it; nothing where there is none.
fn circle<'a>(uses: &[&'a Use]) -> Option<Vec<&'a Use>> {
    let mut edges: BTreeMap<&str, BTreeMap<&str, &Use>> = BTreeMap::new();
    for one in uses {
        edges.entry(&one.from).or_default().entry(&one.to).or_insert(one);
    }
    /// Follows the edges from `room`; `way` leads to it, `done` has the rooms that lead into no circle.
    fn walk<'a>(
        room: &'a str,
        edges: &BTreeMap<&str, BTreeMap<&str, &'a Use>>,
        way: &mut Vec<&'a Use>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a Use>> {
        if let Some(start) = way.iter().position(|one| one.from == room) {
            return Some(way[start..].to_vec());
        }
        if done.contains(room) {
            return None;
        }
        for one in edges.get(room).into_iter().flat_map(|to| to.values()) {
            way.push(one);
            if let Some(found) = walk(&one.to, edges, way, done) {
                return Some(found);
            }
            way.pop();
        }
        done.insert(room);
        None
    }
    let mut done = BTreeSet::new();
    uses.iter().find_map(|one| walk(&one.from, &edges, &mut Vec::new(), &mut done))
}

#[test]
fn the_rooms_use_each_other_in_no_circle() {
    let uses = uses();
    let found = circle(&uses.iter().collect::<Vec<_>>()).unwrap_or_default();
    let places: Vec<&str> = found.iter().map(|one| one.place.as_str()).collect();
    let names: Vec<&str> = found.iter().map(|one| one.from.as_str()).collect();
    assert!(found.is_empty(), "a circle of rooms, {names:?}:\n{}", places.join("\n"));
}

#[test]
fn a_circle_is_found() {
    let edge = |from: &str, to: &str| Use { from: from.into(), to: to.into(), place: format!("{from} {to}") };
    let all = [edge("a", "b"), edge("b", "c"), edge("a", "c"), edge("c", "d"), edge("d", "b")];
    let names = |uses: &[Use]| -> Option<Vec<String>> {
        let found = circle(&uses.iter().collect::<Vec<_>>())?;
        Some(found.iter().map(|one| one.place.clone()).collect())
    };
    assert_eq!(names(&all), Some(["b c", "c d", "d b"].map(str::to_owned).into()));
    assert_eq!(names(&all[..4]), None);
}

/// The programs' parts: rooms that decide what happens to events, and those that show them.
const STAGES: [&str; 6] = ["dashboard", "fetcher", "loader", "replay", "standalone", "watch"];
/// The servers and feeds outside.
const OUTSIDE: [&str; 4] = ["broker", "gharchive", "github", "store"];

/// What each room must not use, as ARCHITECTURE.md lists it.
fn absences() -> Vec<(&'static str, Vec<&'static str>)> {
    let stages_but = |own: &'static str| STAGES.into_iter().filter(move |stage| *stage != own);
    let everything = || STAGES.into_iter().chain(OUTSIDE);
    vec![
        ("broker", stages_but("").chain(["event", "gharchive", "github", "store"]).collect()),
        ("config", everything().chain(["health", "http", "program", "status", "telemetry"]).collect()),
        ("dashboard", stages_but("dashboard").chain(["gharchive", "github"]).collect()),
        ("dead_letters", stages_but("").chain(["gharchive", "github", "store"]).collect()),
        ("fetcher", stages_but("fetcher").chain(["gharchive", "store"]).collect()),
        ("gap", everything().collect()),
        ("gharchive", stages_but("").chain(["broker", "github", "store"]).collect()),
        ("github", stages_but("").chain(["broker", "gharchive", "store"]).collect()),
        ("handshake", everything().chain(["health", "program"]).collect()),
        ("health", everything().chain(["program"]).collect()),
        ("http", everything().chain(["program"]).collect()),
        ("lack", everything().collect()),
        ("loader", stages_but("loader").chain(["gharchive", "github"]).collect()),
        ("program", everything().collect()),
        ("replay", stages_but("replay").chain(["github", "store"]).collect()),
        ("retry", everything().chain(["config", "program"]).collect()),
        ("status", stages_but("").chain(["gharchive", "github", "store"]).collect()),
        ("store", stages_but("").chain(["broker", "gharchive", "github"]).collect()),
        ("telemetry", everything().chain(["program"]).collect()),
        ("terminal", everything().chain(["config", "program"]).collect()),
        ("watch", stages_but("watch").chain(["broker", "gharchive", "github"]).collect()),
    ]
}

#[test]
fn no_room_uses_what_it_must_not_know() {
    let (rooms, uses) = (rooms(), uses());
    let mut broken: Vec<String> = Vec::new();
    for (from, absent) in absences() {
        for room in absent.iter().chain([&from]) {
            assert!(rooms.contains(*room), "there is no room '{room}'");
        }
        let wrong = uses.iter().filter(|one| one.from == from && absent.contains(&one.to.as_str()));
        broken.extend(wrong.map(|one| format!("{from} must not know {}: {}", one.to, one.place)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn event_uses_no_other_room() {
    let wrong: Vec<String> =
        uses().into_iter().filter(|one| one.from == "event").map(|one| one.place).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Without this, a path over `super` could lead out of a room unseen.
#[test]
fn no_room_leaves_by_super() {
    for source in sources() {
        let Some(_) = room_of(&source.path) else { continue };
        let module = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let depth = module.split('/').count();
        // A module in the file itself, as rustfmt leaves it, is one deeper.
        let mut is_inner = false;
        for (number, line) in &source.code {
            is_inner = (is_inner || line.contains("mod ") && line.ends_with('{')) && line != "}";
            let out = "super::".repeat(depth + usize::from(is_inner));
            let place = format!("{}:{number}: {}", source.file, line.trim());
            assert!(!line.contains(&out), "{place}\nleaves the room: write crate::…");
        }
    }
}

#[test]
fn the_simulator_uses_configuration_and_program_of_the_library_only() {
    let mut seen = BTreeSet::new();
    let sources = sources();
    for source in sources.iter().filter(|source| source.file.starts_with("simulator/")) {
        for (number, line) in &source.code {
            for (_, name) in named(line, "github_event_etl::") {
                let place = format!("{}:{number}: {}", source.file, line.trim());
                assert!(["config", "program"].contains(&name), "the simulator must not know {name}: {place}");
                seen.insert(name);
            }
        }
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn names_are_found_in_every_form_of_a_path() {
    let code = "use crate::config::{A, B};\nuse crate::{\n    broker::{self, X},\n    event,\n};\npub(crate) fn f(a: &crate::store::S) {}";
    let names: Vec<&str> = named(code, "crate::").into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["config", "broker", "event", "store"]);
    assert_eq!(named("other_crate::x simulator::crate::y", "crate::"), []);
}
