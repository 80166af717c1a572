//! The user's choices: which events are loaded, and who scores for them.

use std::collections::{HashMap, HashSet};

use crate::config::{Bots, LoadArgs, undocumented};
use crate::event::{Event, is_bot};
use crate::store::Score;

/// The values of `--types`, `--score` and `--bots`.
pub(super) struct Rules {
    /// Empty means all.
    types: HashSet<String>,
    weights: HashMap<String, u32>,
    bots: Bots,
}

impl Rules {
    pub(super) fn new(args: &LoadArgs) -> Self {
        let chosen = args.types.iter().chain(args.scores.iter().map(|score| &score.kind));
        for kind in undocumented(chosen.map(String::as_str)) {
            tracing::warn!(
                "GitHub does not document events of type {kind}: nothing is loaded or scored for them unless some come"
            );
        }
        Self {
            types: args.types.iter().cloned().collect(),
            weights: args.scores.iter().map(|score| (score.kind.clone(), score.weight)).collect(),
            bots: args.bots,
        }
    }

    /// True for events that are to be loaded; the others are acked without effect.
    pub(super) fn wants(&self, event: &Event<'_>) -> bool {
        self.types.is_empty() || self.types.contains(event.kind.as_ref())
    }

    /// Who scores for the event and how much; nobody for events without an actor.
    pub(super) fn score<'a>(&self, event: &Event<'a>) -> Option<Score<'a>> {
        let weight = *self.weights.get(event.kind.as_ref()).filter(|weight| **weight > 0)?;
        let login = event.actor_login()?;
        (self.bots == Bots::Include || !is_bot(&login)).then_some(Score { login, weight })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::LoaderArgs;

    fn rules(flags: &[&str]) -> Rules {
        let args = LoaderArgs::try_parse_from([&["loader"], flags].concat()).unwrap();
        Rules::new(&args.load)
    }

    fn event(kind: &str, login: &str) -> String {
        format!(
            r#"{{"id":"1","type":"{kind}","created_at":"2015-01-01T12:00:01Z","actor":{{"login":"{login}"}}}}"#
        )
    }

    fn weight(rules: &Rules, kind: &str, login: &str) -> Option<u32> {
        let body = event(kind, login);
        let event = Event::parse(body.as_bytes()).unwrap();
        rules.score(&event).map(|score| score.weight)
    }

    #[test]
    fn pushes_and_pull_requests_score_one_by_default() {
        let rules = rules(&[]);
        assert_eq!(weight(&rules, "PushEvent", "a"), Some(1));
        assert_eq!(weight(&rules, "PullRequestEvent", "a"), Some(1));
        assert_eq!(weight(&rules, "WatchEvent", "a"), None);
        assert_eq!(weight(&rules, "PushEvent", ""), None);
        assert_eq!(weight(&rules, "PushEvent", "renovate[bot]"), Some(1));
    }

    #[test]
    fn given_weights_replace_the_defaults_and_bots_may_be_left_out() {
        let rules = rules(&["--score", "WatchEvent=2", "--score", "ForkEvent=0", "--bots", "exclude"]);
        assert_eq!(weight(&rules, "WatchEvent", "a"), Some(2));
        assert_eq!(weight(&rules, "PushEvent", "a"), None);
        assert_eq!(weight(&rules, "ForkEvent", "a"), None);
        assert_eq!(weight(&rules, "WatchEvent", "renovate[bot]"), None);
    }

    #[test]
    fn types_choose_what_is_loaded() {
        let wants = |rules: &Rules, kind| rules.wants(&Event::parse(event(kind, "a").as_bytes()).unwrap());
        let some = rules(&["--types", "PushEvent,WatchEvent"]);
        assert!(wants(&some, "WatchEvent") && !wants(&some, "ForkEvent"));
        assert!(wants(&rules(&[]), "ForkEvent"));
    }
}
