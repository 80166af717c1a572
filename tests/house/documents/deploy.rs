//! The systemd units, the Kubernetes manifests and the compose stack: programs, flags and variables in them exist.

use std::collections::BTreeSet;
use std::fs;

use super::{options, programs, quoted, read, root};

/// The files below `folder`, a path below the project's folder, with one of these endings: path and text.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
        let path = format!("{folder}/{}", entry.file_name().unwrap().to_str().unwrap());
        if entry.is_dir() {
            found.extend(files(&path, endings));
        } else if endings.iter().any(|end| path.ends_with(end)) {
            let text = read(&path);
            found.push((path, text));
        }
    }
    found
}

/// Why a program does not accept a command line, if it does not.
fn refusal(words: &[String]) -> Option<String> {
    let program = words[0].rsplit('/').next().unwrap();
    let Some((_, command)) = programs().into_iter().find(|(name, _)| *name == program) else {
        return Some(format!("no program of ours: {program}"));
    };
    command.try_get_matches_from(words).err().map(|error| error.to_string())
}

/// The words between the brackets of a YAML line such as `args: [gaps, --watch]`.
fn listed(line: &str) -> Vec<String> {
    let inside = line.split_once('[').and_then(|(_, rest)| rest.rsplit_once(']')).unwrap().0;
    inside.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
}

fn is_variable(name: &str) -> bool {
    name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The variables that docs/CONFIGURATION.md does not have, of those named in a file. A secret may have `_FILE` at its end.
fn unknown_variables(path: &str, names: &BTreeSet<String>) -> Vec<String> {
    let document = read("docs/CONFIGURATION.md");
    let is_known = |name: &str| document.contains(&format!("`{name}`"));
    let is_unknown = |name: &&String| !is_known(name) && !name.strip_suffix("_FILE").is_some_and(is_known);
    names.iter().filter(is_unknown).map(|name| format!("{path}: {name}")).collect()
}

#[test]
fn every_unit_starts_a_program_of_ours_with_flags_and_variables_that_it_has() {
    let units = files("deploy/systemd", &[".service"]);
    let mut wrong = Vec::new();
    for (path, text) in &units {
        let values = |key: &str| text.lines().filter_map(|line| line.strip_prefix(key)).collect::<Vec<_>>();
        let starts = values("ExecStart=");
        assert_eq!(starts.len(), 1, "{path}");
        let words: Vec<String> = starts[0].split_whitespace().map(str::to_owned).collect();
        wrong.extend(refusal(&words).map(|error| format!("{path}: {error}")));
        let environment = values("Environment=");
        let names = environment.iter().filter_map(|line| Some(line.split_once('=')?.0.to_owned()));
        wrong.extend(unknown_variables(path, &names.collect()));
    }
    assert!(units.len() >= 5, "{units:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_manifest_starts_a_program_of_ours_with_flags_that_it_has() {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (path, text) in files("deploy/kubernetes", &[".yaml"]) {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("command: [")) {
            let args = lines.get(number + 1).filter(|next| next.starts_with("args: ["));
            let words = [listed(line), args.map_or_else(Vec::new, |args| listed(args))].concat();
            seen.insert(words[0].clone());
            wrong.extend(refusal(&words).map(|error| format!("{path}: {error}")));
        }
    }
    assert_eq!(Vec::from_iter(&seen), ["dashboard", "fetcher", "loader", "replay", "simulator"]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_variable_of_the_manifests_is_in_the_document() {
    let (mut wrong, mut named) = (Vec::new(), 0);
    for (path, text) in files("deploy/kubernetes", &[".yaml", ".env"]) {
        let in_yaml = text.split("name: ").skip(1).filter_map(|rest| rest.split([',', ' ', '\n']).next());
        let in_env = text.lines().filter_map(|line| Some(line.split_once('=')?.0));
        let names: BTreeSet<String> =
            in_yaml.chain(in_env).filter(|name| is_variable(name)).map(str::to_owned).collect();
        named += names.len();
        wrong.extend(unknown_variables(&path, &names));
    }
    assert!(named > 10, "{named}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Variables that the compose stack has no use for: its servers have no TLS.
const NOT_IN_COMPOSE: [&str; 3] = ["TLS_CA_FILE", "TLS_CLIENT_CERT", "TLS_CLIENT_KEY"];

#[test]
fn the_compose_stack_sets_or_passes_on_every_variable_of_its_long_running_programs() {
    let stack = read("docker-compose.yml");
    let is_set = |name: &str| stack.lines().any(|line| line.trim().starts_with(&format!("{name}: ")));
    let (mut missing, mut named) = (BTreeSet::new(), 0);
    for (program, command) in programs() {
        if !["fetcher", "loader", "dashboard"].contains(&program) {
            continue;
        }
        let variables = options(&command).filter_map(|arg| arg.get_env()?.to_str());
        for variable in variables.filter(|name| !NOT_IN_COMPOSE.contains(name)) {
            named += 1;
            if !is_set(variable) {
                missing.insert(format!("{program}: {variable}"));
            }
        }
    }
    assert!(named > 15, "{named}");
    assert!(missing.is_empty(), "docker-compose.yml lacks {missing:?}");
}

#[test]
fn the_document_names_the_variables_that_the_compose_stack_passes_on() {
    let (stack, document) = (read("docker-compose.yml"), read("docs/CONFIGURATION.md"));
    let pairs = stack.lines().filter_map(|line| line.trim().split_once(": ${"));
    let passed: BTreeSet<_> = pairs.filter(|(name, value)| value.starts_with(&format!("{name}:"))).collect();
    let passed: BTreeSet<_> = passed.into_iter().map(|(name, _)| name.to_owned()).collect();
    let section = document.split("## The compose stack").last().unwrap().split("\n## ").next().unwrap();
    let words: BTreeSet<_> = quoted(section).into_iter().collect();
    let sentence = section.split("The stack passes these variables").nth(1).unwrap();
    let promised: BTreeSet<_> = quoted(sentence).into_iter().collect();
    assert!(passed.len() > 15, "{passed:?}");
    let unsaid: Vec<_> = passed.difference(&words).collect();
    let broken: Vec<_> = promised.difference(&passed).collect();
    assert!(
        unsaid.is_empty() && broken.is_empty(),
        "not in the document: {unsaid:?}, not passed: {broken:?}"
    );
}
