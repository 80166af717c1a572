//! The users of RabbitMQ with the rights of docs/SECURITY.md: each program is run with all of them, and without each of some of them.

use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use github_event_etl::broker::Part;

use super::archive_files::{hour, write};
use super::corner::{Corner, properties, redis_url};
use super::dashboard::Dashboard;
use super::events::event;
use super::github::GitHub;
use super::letters::failed;
use super::program::Program;
use super::rabbitmq::RabbitNode;
use super::security::{documented, without};
use super::status::get;

const RIGHTS: [&str; 3] = ["configure", "write", "read"];
const PASSWORD: &str = "secret";
/// Each poll finds nothing that the poll before has seen: that is a gap.
const NO_OVERLAP: [&str; 2] = ["--per-poll", "300"];
/// A queue for what programs say of themselves.
const HEARD: &str = "heard";
/// Slow enough that a replay of eight events publishes its status.
const SLOWLY: [&str; 2] = ["--rate", "2"];
const STORIES_AT_ONCE: usize = 3;
/// How long a program may take to say that it lacks a right.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// The names, as patterns, that a user may configure, write and read, for a namespace that stands for itself: `$n`.
#[derive(Clone)]
struct Permissions([Vec<String>; 3]);

impl Permissions {
    fn documented(user: &str) -> Self {
        let lines = documented(&format!("rabbitmqctl set_permissions {user} "));
        assert_eq!(lines.len(), 1, "{lines:?}");
        let patterns: Vec<Vec<String>> = (lines[0].split('"').skip(1).step_by(2))
            .map(|pattern| {
                let inside = pattern.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$"));
                inside.unwrap_or_else(|| panic!("{pattern}")).split('|').map(str::to_owned).collect()
            })
            .collect();
        Self(patterns.try_into().unwrap())
    }

    /// Every right in them, as the place of its kind and of its name.
    fn each(&self) -> Vec<(usize, usize)> {
        (0..3).flat_map(|kind| (0..self.0[kind].len()).map(move |name| (kind, name))).collect()
    }

    fn without(&self, kind: usize, name: usize) -> Self {
        let mut fewer = self.clone();
        fewer.0[kind] = without(&self.0[kind], name);
        fewer
    }

    /// The three patterns for a namespace.
    fn patterns(&self, namespace: &str) -> [String; 3] {
        [0, 1, 2].map(|kind| format!("^({})$", self.0[kind].join("|").replace("$n", namespace)))
    }
}

/// True if `line` says that the user lacks the right to what the pattern `name` matches.
fn tells(line: &str, right: &str, name: &str, namespace: &str) -> bool {
    let name = name.replace("$n", namespace).replace('\\', "");
    let quoted = match name.split_once("[0-9]").or(name.split_once(".*")) {
        Some((begin, _)) => format!("'{begin}"),
        None => format!("'{name}'"),
    };
    let Some((_, lacking)) = line.split_once("the user lacks the right ") else { return false };
    let said = lacking.split(": grant").next().unwrap();
    said.split(" on ").next().unwrap().contains(right) && said.contains(&quoted)
}

/// A user with these permissions, and a corner in which nothing exists but what `prepare` makes.
struct Place {
    corner: Corner,
    url: String,
    state: tempfile::TempDir,
    github: GitHub,
}

impl Place {
    /// True once a program of this place has published its status. Only the place of a story with all rights hears it.
    fn has_told_status(&self) -> bool {
        self.corner.try_ready(HEARD).is_some_and(|ready| ready > 0)
    }

    fn hear_status(&self) {
        self.corner.declare_parts("load", &[Part::Status]);
        let (queue, exchange) = (self.corner.queue(HEARD), self.corner.queue("status"));
        self.corner.amqp().declare_queue(&queue, &[]);
        self.corner.amqp().bind(&queue, &exchange, "");
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        vec![
            ("AMQP_URL", self.url.as_str()),
            ("REDIS_URL", &self.corner.redis_url),
            ("ETL_NAMESPACE", &self.corner.namespace),
            ("GITHUB_API_URL", &self.github.url),
            ("REPLAY_STATE_DIR", self.state.path().to_str().unwrap()),
        ]
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Program {
        Program::start(program, &self.variables(), arguments)
    }
}

/// What a program does with its rights.
struct Story {
    user: &'static str,
    /// What exists before.
    prepare: fn(&Corner),
    /// Starts the programs one after the other, until all is done, or until one lacks a right, if that is enough. Gives what they said.
    run: fn(&Place, &Enough<'_>) -> String,
}

/// Whether what a program said ends its story before its end.
type Enough<'a> = dyn Fn(&str) -> bool + 'a;

/// Waits until the program has ended, or what it said is enough, or all is `done`. Gives what it said.
fn watch(program: Program, enough: &Enough<'_>, mut done: impl FnMut() -> bool) -> String {
    let deadline = Instant::now() + TOLD_WITHIN;
    let mut program = program;
    while Instant::now() < deadline && !enough(&program.stderr()) && !program.has_ended() && !done() {
        std::thread::sleep(Duration::from_millis(50));
    }
    if program.has_ended() {
        program.wait().stderr
    } else {
        program.terminate(Duration::from_secs(10)).stderr
    }
}

const STORIES: [Story; 8] = [
    Story { user: "etl-fetcher", prepare: |_| {}, run: fetch },
    Story { user: "etl-loader", prepare: |_| {}, run: load },
    Story { user: "etl-dashboard", prepare: with_letters_and_gaps, run: look },
    Story { user: "etl-replay-gharchive", prepare: |_| {}, run: replay_gharchive },
    Story { user: "etl-replay-archive", prepare: with_archive, run: replay_archive },
    Story { user: "etl-replay-export", prepare: with_archive, run: replay_export },
    Story { user: "etl-replay-dead", prepare: with_letters_and_gaps, run: replay_dead },
    Story { user: "etl-replay-gaps", prepare: with_gaps, run: replay_gaps },
];

/// Polls so that gaps are found, until a record of one is stored.
fn fetch(place: &Place, enough: &Enough<'_>) -> String {
    let has = |queue: &str| place.corner.try_ready(queue).is_some_and(|ready| ready > 0);
    let fetcher = place.start("fetcher", &["--poll-interval", "100ms"]);
    watch(fetcher, enough, || has("gaps") && has("load") && place.has_told_status())
}

/// Loads an event, and sends a message that is no event to the dead letters.
fn load(place: &Place, enough: &Enough<'_>) -> String {
    let loader = place.start("loader", &[]);
    let mut published = false;
    watch(loader, enough, || {
        if !published && place.corner.try_ready("load").is_some() {
            place.corner.publish(&[event(1).bytes(), b"no event".to_vec()]);
            published = true;
        }
        let is_done = published && place.corner.try_ready("load.dead") == Some(1);
        is_done && place.corner.loaded() == 1 && place.has_told_status()
    })
}

/// Shows dead letters, gaps, queues and what a loader says of itself.
fn look(place: &Place, enough: &Enough<'_>) -> String {
    let (corner, url) = (&place.corner, place.url.as_str());
    let speaker = corner.loader(&[]);
    let dashboard = Dashboard::start_at(corner, url, &corner.redis_url, &[], &[]);
    let address = dashboard.address.clone();
    let shows = |path: &str, words: &str| get(&address, path).is_ok_and(|answer| answer.contains(words));
    let said = watch(dashboard.program, enough, || {
        shows("/api/dead-letters", "broken on purpose")
            && shows("/api/gaps", "2015-01-01T12:00:05Z")
            && shows("/api/workers", "loader")
    });
    speaker.stop();
    said
}

fn replay_gharchive(place: &Place, enough: &Enough<'_>) -> String {
    let file = write(place.state.path(), "events.json.gz", &hour(5, 0..8, 5));
    let file = file.to_str().unwrap();
    in_turn(
        place,
        enough,
        &[&["gharchive", file, "--archive"], &["gharchive", file, "--queue", "load", SLOWLY[0], SLOWLY[1]]],
    )
}

fn replay_archive(place: &Place, enough: &Enough<'_>) -> String {
    in_turn(place, enough, &[&["archive", SLOWLY[0], SLOWLY[1]]])
}

/// Follows the archive until its events are in a file.
fn replay_export(place: &Place, enough: &Enough<'_>) -> String {
    let folder = place.state.path().join("files");
    let export = ["export", "--follow", "--grace", "0s", "--to", folder.to_str().unwrap()];
    let is_written = || folder.join("2015-01-01-12.json.gz").exists();
    watch(place.start("replay", &export), enough, || is_written() && place.has_told_status())
}

fn replay_dead(place: &Place, enough: &Enough<'_>) -> String {
    in_turn(place, enough, &[&["dead", "--list"], &["dead", SLOWLY[0], SLOWLY[1]]])
}

fn replay_gaps(place: &Place, enough: &Enough<'_>) -> String {
    let folder = place.state.path().join("files");
    fs::create_dir(&folder).unwrap();
    write(&folder, "2015-01-01-12.json.gz", &hour(12, 0..8, 2));
    (13..19).for_each(|hour| drop(write(&folder, &format!("2015-01-01-{hour}.json.gz"), &[])));
    let gaps = ["gaps", "--base-url", folder.to_str().unwrap()];
    let with = |more: &[&'static str]| [&gaps[..], more].concat();
    let commands =
        [with(&["--list"]), with(&["--queue", "load"]), with(&["--archive", SLOWLY[0], SLOWLY[1]])];
    in_turn(place, enough, &commands.each_ref().map(Vec::as_slice))
}

/// Runs `replay` with each of these arguments, until one has said enough.
fn in_turn(place: &Place, enough: &Enough<'_>, commands: &[&[&str]]) -> String {
    let mut said = String::new();
    for command in commands {
        said += &watch(place.start("replay", command), enough, || false);
        if enough(&said) {
            break;
        }
    }
    said
}

/// A dead letter and a gap, in queues that others have declared.
fn with_letters_and_gaps(corner: &Corner) {
    corner.declare_parts("load", &[Part::Exchange, Part::LoadQueue, Part::Gaps, Part::Status]);
    corner.amqp().publish("", &corner.queue("load.dead"), &failed("broken on purpose"), &events());
    gap(corner);
}

fn events() -> Vec<Vec<u8>> {
    (0..8).map(|id| event(id).bytes()).collect()
}

fn with_gaps(corner: &Corner) {
    corner.declare_parts("load", &[Part::Gaps]);
    gap(corner);
}

fn gap(corner: &Corner) {
    let body = r#"{"source":"events","from":"2015-01-01T12:00:00Z","to":"2015-01-01T12:00:05Z","seconds":5,"detected_at":"2015-01-01T13:00:00Z","events_in_poll":300}"#;
    corner.amqp().publish("", &corner.queue("gaps"), &properties("gap"), &[body.into()]);
}

fn with_archive(corner: &Corner) {
    corner.declare_parts("load", &[Part::Archive]);
    corner.archive(&events());
}

/// A corner for each of these permissions, with a user who has them.
fn places(node: &RabbitNode, story: &Story, all: &[Permissions]) -> Vec<Place> {
    let corners: Vec<_> =
        all.iter().map(|_| Corner::undeclared_at("rights", &["load"], node.url(), redis_url())).collect();
    let users = all.iter().zip(&corners).map(|(permissions, corner)| {
        let [configure, write, read] = permissions.patterns(&corner.namespace).map(|text| in_erlang(&text));
        let (user, password) = (in_erlang(&corner.namespace), in_erlang(PASSWORD));
        format!(
            "rabbit_auth_backend_internal:add_user({user}, {password}, <<\"test\">>), \
             rabbit_auth_backend_internal:set_permissions({user}, <<\"/\">>, {configure}, {write}, {read}, <<\"test\">>)"
        )
    });
    node.ctl(&["eval", &format!("{}.", users.collect::<Vec<_>>().join(", "))]);
    corners
        .into_iter()
        .map(|corner| {
            (story.prepare)(&corner);
            let url = format!("amqp://{}:{PASSWORD}@127.0.0.1:{}/%2f", corner.namespace, node.port);
            let (state, github) = (tempfile::tempdir().unwrap(), GitHub::generated(&NO_OVERLAP));
            Place { corner, url, state, github }
        })
        .collect()
}

/// The users are not needed any more.
fn delete_users(node: &RabbitNode, places: &[Place]) {
    let deleted = places.iter().map(|place| {
        let user = in_erlang(&place.corner.namespace);
        format!("rabbit_auth_backend_internal:delete_user({user}, <<\"test\">>)")
    });
    node.ctl(&["eval", &format!("{}.", deleted.collect::<Vec<_>>().join(", "))]);
}

/// A text that may hold backslashes.
fn in_erlang(text: &str) -> String {
    format!("base64:decode(<<\"{}\">>)", BASE64.encode(text))
}

fn is_at_least(node: &RabbitNode, wanted: (u32, u32)) -> bool {
    let version = node.ctl(&["version"]);
    let mut numbers = version.trim().split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= wanted
}

/// True if a right is needed by this RabbitMQ: before 4.3, everybody learns the length of a queue.
fn is_needed(story: &Story, right: &str, name: &str, is_4_3: bool) -> bool {
    let is_for_lengths = story.user == "etl-dashboard" && right == "write" && name != r"amq\.gen.*";
    is_4_3 || !is_for_lengths
}

/// A right of a user: the place of its kind, and its place among those of this kind.
type Right = (usize, usize);

/// Runs a story with all of the documented rights, and without each that `picks` leaves of them. Gives complaints.
fn tell(node: &RabbitNode, story: &Story, is_4_3: bool, picks: fn(Vec<Right>) -> Vec<Right>) -> Vec<String> {
    let documented = Permissions::documented(story.user);
    let (user, mut complaints) = (story.user, Vec::new());
    let needed = (documented.each().into_iter())
        .filter(|(kind, name)| is_needed(story, RIGHTS[*kind], &documented.0[*kind][*name], is_4_3));
    let fewer = picks(needed.collect());
    let all: Vec<_> = std::iter::once(documented.clone())
        .chain(fewer.iter().map(|(kind, name)| documented.without(*kind, *name)))
        .collect();
    let places = places(node, story, &all);
    places[0].hear_status();
    let said = (story.run)(&places[0], &|said| said.contains("the user lacks the right"));
    if !places[0].has_told_status() {
        complaints.push(format!("{user} was not heard:\n{said}"));
    }
    places[0].corner.amqp().delete(&places[0].corner.queue(HEARD));
    if said.contains("the user lacks the right") || said.contains("refuses access") {
        complaints.push(format!("{user} needs more than is documented:\n{said}"));
    }
    for ((kind, name), place) in fewer.into_iter().zip(&places[1..]) {
        let (right, pattern) = (RIGHTS[kind], &documented.0[kind][name]);
        let told = |said: &str| said.lines().any(|line| tells(line, right, pattern, &place.corner.namespace));
        let said = (story.run)(place, &told);
        if !told(&said) {
            complaints.push(format!("{user} without {right} on {pattern} did not say so:\n{said}"));
        }
    }
    delete_users(node, &places);
    complaints
}

/// Runs every program with its documented rights, and without each right that `picks` leaves of them. The first run must go well, and
/// in the others the program must name the right.
#[track_caller]
pub fn are_enough_and_told_where_lacking(picks: fn(Vec<Right>) -> Vec<Right>) {
    let node = RabbitNode::lent();
    let is_4_3 = is_at_least(&node, (4, 3));
    let left = Mutex::new(VecDeque::from(STORIES));
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..STORIES_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(story) = left.lock().unwrap().pop_front() else { break };
                    let told = tell(&node, &story, is_4_3, picks);
                    complaints.lock().unwrap().extend(told);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}
