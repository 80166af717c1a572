//! The documents: links lead somewhere, tables and commands agree with the programs, names exist. No test here needs a server.

mod commands;
mod configuration;
mod deploy;
mod links;
mod names;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory as _};
use github_event_etl::config::{DashboardArgs, FetcherArgs, LoaderArgs, ReplayArgs, StandaloneArgs};
use github_event_etl_simulator::SimulatorArgs;

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The text of a file, by its path below the project's folder.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all documents: those in the project's folder and those in `docs`.
pub(super) fn documents() -> Vec<String> {
    let mut paths: Vec<String> = ["", "docs/"]
        .iter()
        .flat_map(|folder| {
            let entries = fs::read_dir(root().join(folder)).unwrap();
            entries.map(move |entry| format!("{folder}{}", entry.unwrap().file_name().into_string().unwrap()))
        })
        .filter(|path| path.ends_with(".md"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "{paths:?}");
    paths
}

/// What stands between backticks in a text, code blocks left out.
fn quoted(text: &str) -> Vec<String> {
    let prose = text.lines().filter(|line| !is_code(line)).collect::<Vec<_>>().join("\n");
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// True for a line of an indented code block.
fn is_code(line: &str) -> bool {
    line.starts_with("    ")
}

/// Every program as clap knows it, with its name.
fn programs() -> Vec<(&'static str, Command)> {
    let mut programs = vec![
        ("fetcher", FetcherArgs::command()),
        ("loader", LoaderArgs::command()),
        ("replay", ReplayArgs::command()),
        ("dashboard", DashboardArgs::command()),
        ("standalone", StandaloneArgs::command()),
        ("simulator", SimulatorArgs::command()),
    ];
    // Gives subcommands the options that they share with their program.
    programs.iter_mut().for_each(|(_, command)| command.build());
    programs
}

/// Every program and every subcommand, such as `replay dead`.
fn commands() -> Vec<(String, Command)> {
    programs()
        .into_iter()
        .flat_map(|(name, command)| {
            let subcommands: Vec<_> = command
                .get_subcommands()
                .filter(|subcommand| subcommand.get_name() != "help")
                .map(|subcommand| (format!("{name} {}", subcommand.get_name()), subcommand.clone()))
                .collect();
            if subcommands.is_empty() { vec![(name.to_owned(), command)] } else { subcommands }
        })
        .collect()
}

/// The options of a command, without `--help` and `--version`.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some_and(|long| !["help", "version"].contains(&long)))
}

/// The flags of every command together.
fn all_flags() -> BTreeSet<String> {
    let flags = |command: &Command| -> Vec<String> {
        options(command).filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect()
    };
    commands().iter().flat_map(|(_, command)| flags(command)).collect()
}
