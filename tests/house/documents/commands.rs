//! The commands that documents show: the programs accept them.

use std::collections::BTreeSet;

use super::{all_flags, documents, is_code, programs, quoted, read};

/// Flags of other programs that documents name: docker, cargo, redis-cli, promtool, rabbitmqctl, kubectl, helm, systemctl.
const OF_OTHERS: &[&str] = &[
    "--all-targets",
    "--apply-to",
    "--askpass",
    "--bench",
    "--build",
    "--check",
    "--events",
    "--for",
    "--from-file",
    "--help",
    "--kustomize",
    "--lib",
    "--locked",
    "--millions",
    "--no-deps",
    "--now",
    "--older",
    "--output",
    "--package",
    "--pattern",
    "--profile",
    "--queue-pattern",
    "--release",
    "--rm",
    "--rounds",
    "--scale",
    "--scan",
    "--tag",
    "--test",
    "--timeout",
    "--values",
    "--version",
    "--volumes",
];

/// The code blocks of a document, each as its lines without the indent.
fn code_blocks(text: &str) -> Vec<Vec<&str>> {
    let mut blocks: Vec<Vec<&str>> = vec![Vec::new()];
    for line in text.lines() {
        if is_code(line) {
            blocks.last_mut().unwrap().push(line.trim());
        } else if !line.trim().is_empty() {
            blocks.push(Vec::new());
        }
    }
    blocks
}

/// The commands of a code block. Where lines have a prompt, the others are outputs.
fn commands(block: &[&str]) -> Vec<String> {
    let prompted: Vec<_> = block.iter().filter_map(|line| line.strip_prefix("$ ")).collect();
    let lines = if prompted.is_empty() { block.to_vec() } else { prompted };
    lines.into_iter().map(str::to_owned).collect()
}

/// The words of a command, as a shell reads it: up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#' | '|' | '>' | '<') if word.is_none() => break,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The program and its arguments, where a command runs one of ours.
fn ours(line: &str) -> Option<Vec<String>> {
    let mut words = words(line);
    let is_variable = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    words.drain(..words.iter().take_while(|word| is_variable(word)).count());
    if words.starts_with(&["docker".into(), "compose".into(), "run".into()]) {
        let program = words.iter().position(|word| word == "replay")?;
        words.drain(..program);
    }
    let program = words.first_mut()?;
    *program = program.trim_start_matches("target/release/").to_owned();
    programs().iter().any(|(name, _)| name == program).then_some(words)
}

#[test]
fn every_command_that_a_document_shows_is_accepted_by_its_program() {
    let (mut refused, mut seen) = (Vec::new(), BTreeSet::new());
    for document in documents() {
        let text = read(&document);
        for line in code_blocks(&text).iter().flat_map(|block| commands(block)) {
            let Some(words) = ours(&line) else { continue };
            seen.insert(words[0].clone());
            let (_, command) = programs().into_iter().find(|(name, _)| *name == words[0]).unwrap();
            if let Err(error) = command.try_get_matches_from(&words) {
                refused.push(format!("{document}: {line}\n{error}"));
            }
        }
    }
    assert!(seen.len() >= 5, "{seen:?}");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_flag_and_target_that_a_document_names_exists() {
    let (flags, makefile) = (all_flags(), read("Makefile"));
    let mut missing = Vec::new();
    for document in documents() {
        // What older versions had stands in the changelog.
        if document == "CHANGELOG.md" {
            continue;
        }
        let text = read(&document);
        let code = code_blocks(&text).concat().into_iter().map(str::to_owned);
        for quote in quoted(&text).into_iter().chain(code) {
            let named = quote
                .split(|c: char| c.is_whitespace() || "=/,[]`".contains(c))
                .filter(|word| word.starts_with("--") && word.len() > 2);
            missing.extend(
                named
                    .filter(|word| !flags.contains(*word) && !OF_OTHERS.contains(word))
                    .map(|word| format!("{document}: {word} in `{quote}`")),
            );
            let target = quote.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next());
            let is_missing =
                |target: &&str| !target.contains('=') && !makefile.contains(&format!("\n{target}:"));
            missing.extend(target.filter(is_missing).map(|target| format!("{document}: make {target}")));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
