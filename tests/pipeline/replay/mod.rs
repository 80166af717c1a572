//! Old events come back, whatever happens on the way, and count once.

mod archive;
mod archive_lack;
mod archive_reset;
mod copies;
mod damage;
mod dead;
mod export;
mod gaps;
mod gaps_lacked;
mod gaps_of_sources;
mod gharchive;
mod hosts;
mod in_hand;
mod memory;
mod mirrors;
mod mirrors_away;
mod missing;
mod saved;
mod stopping;
mod unrouted;

/// How many events a replay says it has published.
fn published(stdout: &str) -> u64 {
    let number = stdout.split("published ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.replace(',', "").parse().ok()).unwrap_or_else(|| panic!("{stdout}"))
}
