//! The licences of all packages of a build on this machine are among those that deny.toml allows. `make deny` checks those of other
//! platforms, too, and needs cargo-deny for that.

use std::fs;
use std::iter::Peekable;
use std::path::Path;
use std::process::Command;
use std::str::SplitWhitespace;

use serde_json::Value;

/// The words of an SPDX expression.
type Words<'a> = Peekable<SplitWhitespace<'a>>;

fn allowed() -> Vec<String> {
    let deny = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml")).unwrap();
    let list = deny.split("\nallow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All packages of a build on this machine, which a build has downloaded.
fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").expect("cargo runs this test");
    let host = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let options = ["metadata", "--locked", "--offline", "--format-version=1", "--filter-platform", host];
    let output = Command::new(cargo).args(options).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// True when the licences that an SPDX expression leaves to choose from have one that is allowed. An old form has `/` for `OR`.
fn allows(allowed: &[String], expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let allows = any(allowed, &mut words);
    allows && words.next().is_none()
}

fn any(allowed: &[String], words: &mut Words<'_>) -> bool {
    let mut is_allowed = all(allowed, words);
    while words.next_if_eq(&"OR").is_some() {
        is_allowed |= all(allowed, words);
    }
    is_allowed
}

fn all(allowed: &[String], words: &mut Words<'_>) -> bool {
    let mut is_allowed = one(allowed, words);
    while words.next_if_eq(&"AND").is_some() {
        is_allowed &= one(allowed, words);
    }
    is_allowed
}

fn one(allowed: &[String], words: &mut Words<'_>) -> bool {
    let mut licence = words.next().unwrap_or_default().to_owned();
    if licence == "(" {
        let is_allowed = any(allowed, words);
        let is_closed = words.next() == Some(")");
        return is_allowed && is_closed;
    }
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(&licence)
}

#[test]
fn every_package_has_a_licence_that_deny_toml_allows() {
    let (allowed, packages) = (allowed(), packages());
    assert!(allowed.len() > 5 && packages.len() > 100, "{allowed:?}, {} packages", packages.len());
    let refused: Vec<_> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| allows(&allowed, licence)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "not in deny.toml: {refused:#?}");
}

#[test]
fn a_licence_is_read_as_its_owner_means_it() {
    let allowed = ["MIT", "Apache-2.0"].map(str::to_owned);
    for good in
        ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "(MIT OR GPL-3.0) AND Apache-2.0", "(GPL-3.0) OR MIT"]
    {
        assert!(allows(&allowed, good), "{good}");
    }
    for bad in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR X) AND GPL-3.0", "Apache-2.0 WITH X", "MIT MIT", "(MIT"]
    {
        assert!(!allows(&allowed, bad), "{bad}");
    }
}
