//! docs/CONFIGURATION.md against the programs' own definitions: flags, variables, defaults and limits, both ways.

use std::collections::{BTreeMap, BTreeSet};

use clap::Arg;
use github_event_etl::source::Source;

use super::{commands, options, read};
use crate::sources::text_below;

const PATH: &str = "docs/CONFIGURATION.md";

/// An option as a document or a program describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Described {
    variable: Option<String>,
    /// The values in backticks, or those of the program.
    defaults: Vec<String>,
    /// What happens without a value, in words.
    without: String,
    /// Limits, such as `1 to 64`.
    limits: BTreeSet<String>,
}

/// Every `<number> to <number>` of a text.
fn limits(text: &str) -> BTreeSet<String> {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "(),.;".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let ranges =
        words.windows(3).filter(|range| range[1] == "to" && is_number(range[0]) && is_number(range[2]));
    ranges.map(|range| range.join(" ")).collect()
}

/// A table's row: the commands that it is about, the flags, and what is said of them.
struct Row {
    commands: Vec<String>,
    flags: Vec<String>,
    described: Described,
}

fn in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The commands that a heading names: `Every program`, less those in backticks, or those in backticks.
fn commands_of(heading: &str, all: &[String]) -> Vec<String> {
    let named = in_backticks(heading);
    let is_named = |command: &String| {
        named.iter().any(|name| command == name || command.starts_with(&format!("{name} ")))
    };
    let every = heading.starts_with("Every program");
    all.iter().filter(|command| is_named(command) != every).cloned().collect()
}

/// The cells of a table's line.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').replace("\\|", "\0");
    let mut cells: Vec<String> = line.split('|').map(|cell| cell.trim().replace('\0', "|")).collect();
    cells.pop();
    cells
}

/// The rows of every table whose first column is `flag`, and what `standalone` has from other programs.
fn documented(all: &[String]) -> Vec<Row> {
    let (mut heading_commands, mut columns, mut rows) = (Vec::new(), Vec::new(), Vec::<Row>::new());
    for line in read(PATH).lines() {
        if line.starts_with('#') {
            heading_commands = commands_of(line.trim_start_matches('#').trim(), all);
        } else if line.starts_with("All flags of ") {
            let (others, without): (Vec<_>, Vec<_>) =
                in_backticks(line).into_iter().partition(|word| !word.starts_with("--"));
            let inherited: Vec<Row> = rows
                .iter()
                .filter(|row| row.commands.iter().any(|command| others.contains(command)))
                .filter(|row| !row.flags.iter().any(|flag| without.contains(flag)))
                // What every program has, it has from the table of every program.
                .filter(|row| row.commands.len() == 1)
                .map(|row| Row {
                    commands: heading_commands.clone(),
                    flags: row.flags.clone(),
                    described: row.described.clone(),
                })
                .collect();
            assert!(inherited.len() > 5, "{line}");
            rows.extend(inherited);
        }
        if !line.starts_with('|') {
            columns.clear();
        } else if columns.is_empty() {
            columns = cells(line);
        } else if columns[0] == "flag" && !line.starts_with("|--") {
            rows.push(row(&columns, &cells(line), &heading_commands));
        }
    }
    rows
}

fn row(columns: &[String], cells: &[String], commands: &[String]) -> Row {
    assert_eq!(columns.len(), cells.len(), "{cells:?}");
    let cell = |name: &str| {
        columns.iter().position(|column| column == name).map_or("", |place| cells[place].as_str())
    };
    let subcommands = in_backticks(cell("of"));
    let is_meant = |command: &&String| {
        let last = command.split(' ').next_back().unwrap();
        subcommands.is_empty() || subcommands.iter().any(|name| name == last)
    };
    let default = cell("default");
    let defaults = in_backticks(default);
    let without = if defaults.is_empty() { default.to_owned() } else { String::new() };
    let variable = in_backticks(cell("environment")).into_iter().next();
    Row {
        commands: commands.iter().filter(is_meant).cloned().collect(),
        flags: in_backticks(cell("flag")),
        described: Described { variable, defaults, without, limits: limits(cell("meaning")) },
    }
}

fn described(arg: &Arg) -> Described {
    let values =
        |arg: &Arg| arg.get_default_values().iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    Described {
        variable: arg.get_env().map(|variable| variable.to_str().unwrap().to_owned()),
        defaults: if arg.get_action().takes_values() { values(arg) } else { Vec::new() },
        without: String::new(),
        limits: limits(&help_of(arg)),
    }
}

fn help_of(arg: &Arg) -> String {
    arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default()
}

#[test]
fn every_flag_variable_and_default_of_every_program_is_in_the_document_and_no_other() {
    let commands = commands();
    let names: Vec<String> = commands.iter().map(|(name, _)| name.clone()).collect();
    let rows = documented(&names);
    let mut wrong = Vec::new();
    for (name, command) in &commands {
        let mut in_document: BTreeMap<String, &Described> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.commands.contains(name)) {
            for flag in &row.flags {
                if in_document.insert(flag.clone(), &row.described).is_some() {
                    wrong.push(format!("{name} {flag}: two rows"));
                }
            }
        }
        for arg in options(command) {
            let flag = format!("--{}", arg.get_long().unwrap());
            let Some(written) = in_document.remove(&flag) else {
                wrong.push(format!("{name} {flag}: no row"));
                continue;
            };
            let (is, help) = (described(arg), help_of(arg));
            if (&written.variable, &written.defaults, &written.limits)
                != (&is.variable, &is.defaults, &is.limits)
            {
                wrong.push(format!("{name} {flag}: the document says {written:?}, the program {is:?}"));
            }
            if help.contains("when not given") && written.defaults.is_empty() && written.without.is_empty() {
                wrong.push(format!("{name} {flag}: the document does not say what holds without it: {help}"));
            }
            // What holds without a value stands in brackets in the help, in the same words.
            let mut brackets = help.split('[').skip(1).filter_map(|rest| rest.split(']').next());
            if !written.without.is_empty() && !brackets.any(|inside| inside.contains(&written.without)) {
                wrong.push(format!(
                    "{name} {flag}: '{}' is not in brackets in its help: {help}",
                    written.without
                ));
            }
        }
        wrong.extend(in_document.keys().map(|flag| format!("{name} {flag}: no such flag")));
    }
    assert!(wrong.is_empty(), "{PATH}:\n{}", wrong.join("\n"));
}

#[test]
fn every_form_of_a_source_is_in_the_help_and_in_the_document() {
    let refusal = "nonsense".parse::<Source>().unwrap_err();
    let forms: Vec<&str> = refusal.strip_prefix("must be one of ").unwrap().split(", ").collect();
    assert!(forms.len() >= 5, "{forms:?}");
    let fetcher = commands().into_iter().find(|(name, _)| name == "fetcher").unwrap().1;
    let help = help_of(options(&fetcher).find(|arg| arg.get_long() == Some("source")).unwrap());
    let text = read(PATH);
    let row = text.lines().find(|line| line.starts_with("| `--source`")).unwrap();
    for form in forms {
        assert!(help.contains(form), "{form} is not in --help: {help}");
        assert!(row.contains(&format!("`{form}`")), "{form} is not in {PATH}");
    }
}

#[test]
fn every_variable_without_a_flag_is_in_the_document_and_in_the_help() {
    let mut commands = commands();
    let names: Vec<String> = commands.iter().map(|(name, _)| name.clone()).collect();
    let rows = documented(&names);
    let mut variables = BTreeSet::new();
    for row in rows.iter().filter(|row| row.flags.is_empty()) {
        let variable = row.described.variable.as_ref().unwrap();
        variables.insert(variable.clone());
        for (name, command) in commands.iter_mut().filter(|(name, _)| row.commands.contains(name)) {
            let help = command.render_long_help().to_string();
            assert!(help.contains(variable.as_str()), "{variable} is not in {name} --help");
        }
    }
    let sources = text_below(&["src"]);
    let secrets = sources.split(".secret(\"").skip(1).filter_map(|rest| rest.split('"').next());
    for read in secrets.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')) {
        assert!(variables.contains(read), "{read} is read, and no row of {PATH} has it: {variables:?}");
    }
}

#[test]
fn every_variable_of_the_example_is_in_the_document() {
    let document = read(PATH);
    let example = read(".env.example");
    let variables = example.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    let variables: Vec<_> =
        variables.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect();
    assert!(variables.len() > 20, "{variables:?}");
    for variable in variables {
        assert!(document.contains(&format!("`{variable}`")), "{variable} is not in {PATH}");
    }
}
