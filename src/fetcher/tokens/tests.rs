use super::*;
use crate::github::{Hints, Page, Quota};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn source(text: &str) -> Source {
    text.parse().unwrap()
}

fn repository(number: usize) -> Source {
    source(&format!("repos/o/r{number}"))
}

fn answer(outcome: Outcome, remaining: u64, resets_in: Duration) -> Answer {
    let quota = Some(Quota { remaining, limit: Some(5000), resets_in });
    Answer { outcome, hints: Hints { quota, ..Hints::default() }, moved_to: None }
}

fn good() -> Answer {
    answer(Outcome::NotModified, 4000, s(900))
}

fn denied() -> Answer {
    Answer { outcome: Outcome::Denied, hints: Hints::default(), moved_to: None }
}

fn limited(wait: Option<Duration>) -> Outcome {
    Outcome::Limited { status: 429, wait }
}

/// A limit for which GitHub asks for this wait in `Retry-After`.
fn secondary(wait_s: u64) -> Answer {
    let mut answer = answer(limited(Some(s(wait_s))), 10, s(900));
    answer.hints.retry_after = Some(s(wait_s));
    answer
}

fn used_up(resets_in: Duration) -> Answer {
    answer(limited(Some(resets_in)), 0, resets_in)
}

fn refused() -> Outcome {
    Outcome::Refused { status: 403 }
}

fn token(number: usize) -> TokenNumber {
    TokenNumber::at(number - 1)
}

/// A pool of so many tokens, with so many sources that were polled.
fn polled(tokens: usize, sources: usize, now: Instant) -> TokenPool {
    let mut pool = TokenPool::new(tokens);
    poll(&mut pool, sources, now);
    pool
}

/// Polls so many sources, and gives the number of the token that asked for each.
fn poll(pool: &mut TokenPool, sources: usize, now: Instant) -> Vec<usize> {
    let ask = |number| {
        let token = pool.choose(&repository(number), None, now);
        pool.learn(&repository(number), token, &good(), now);
        token.index() + 1
    };
    (0..sources).map(ask).collect()
}

/// Sources at each token.
fn spread(pool: &TokenPool, now: Instant) -> Vec<usize> {
    pool.reports(now).map(|token| token.sources).collect()
}

/// Answers about sources, each when all waits are over; gives the wait after each, in seconds.
fn waits(pool: &mut TokenPool, answers: Vec<(&str, Outcome)>) -> Vec<u64> {
    let mut now = Instant::now();
    let waits = answers.into_iter().map(|(name, outcome)| {
        now += s(10_000);
        let token = pool.choose(&source(name), None, now);
        pool.learn(&source(name), token, &answer(outcome, 10, s(900)), now);
        pool.closed_for(&source(name), now).map_or(0, |wait| wait.as_secs())
    });
    waits.collect()
}

#[test]
fn nothing_is_asked_while_limited_used_up_or_refused() {
    let (now, events) = (Instant::now(), source("events"));
    for (outcome, remaining, wait) in [
        (limited(Some(s(30))), 10, 30),
        (limited(None), 10, 60),
        (limited(Some(s(30))), 0, 901),
        (Outcome::Page(Page::default()), 0, 901),
        (Outcome::Denied, 10, 15),
    ] {
        let mut pool = TokenPool::new(0);
        let token = pool.choose(&events, None, now);
        pool.learn(&events, token, &answer(outcome, remaining, s(900)), now);
        assert_eq!((pool.closed_for(&events, now), pool.all_closed_for(now)), (Some(s(wait)), Some(s(wait))));
        assert_eq!(pool.closed_for(&events, now + s(wait)), None);
    }
}

#[test]
fn a_limit_waits_as_long_as_asked_else_a_minute_and_growing_until_a_success() {
    let answers = [None, None, Some(s(7)), None].map(|wait| ("events", limited(wait)));
    let success = [("events", Outcome::NotModified), ("events", limited(None))];
    let answers = answers.into_iter().chain(success).collect();
    assert_eq!(waits(&mut TokenPool::new(1), answers), [60, 120, 7, 480, 0, 60]);
}

#[test]
fn one_refused_source_closes_nothing_however_often_it_is_refused() {
    let answers = (0..50).map(|n| (["orgs/a", "orgs/b"][n % 2], refused())).collect();
    assert_eq!(waits(&mut TokenPool::new(1), answers), [0; 50]);
}

#[test]
fn three_sources_that_answered_and_are_refused_in_a_row_close_all_tokens() {
    let [a, b, c] = ["orgs/a", "orgs/b", "orgs/c"].map(|source| move || (source, refused()));
    let fine = |source: &'static str| (source, Outcome::Page(Page::default()));
    let answered = || {
        let mut pool = TokenPool::new(2);
        waits(&mut pool, ["orgs/a", "orgs/b", "orgs/c"].map(fine).into());
        pool
    };
    let again = vec![a(), b(), b(), c(), a(), b(), c()];
    assert_eq!(waits(&mut answered(), again), [0, 0, 0, 60, 0, 0, 0], "they are known to be refused now");
    assert_eq!(waits(&mut answered(), vec![a(), b(), fine("events"), c()]), [0; 4], "GitHub answers");
    let broken = ("events", Outcome::Failed { reason: String::new() });
    assert_eq!(waits(&mut answered(), vec![a(), b(), broken, c()]), [0, 0, 0, 60], "no good answer");
}

#[test]
fn sources_that_never_answered_close_all_only_if_there_are_many_and_for_a_minute() {
    let names: Vec<_> = (0..25).map(|n| format!("orgs/{n}")).collect();
    let refusals = || names.iter().map(|name| (name.as_str(), refused())).collect::<Vec<_>>();
    let mut expected = [0; 25];
    (expected[9], expected[19]) = (60, 60);
    assert_eq!(waits(&mut TokenPool::new(1), refusals()), expected);
    let mut pool = TokenPool::new(1);
    waits(&mut pool, vec![("events", Outcome::NotModified)]);
    assert_eq!(waits(&mut pool, refusals()), [0; 25], "another source answers");
}

#[test]
fn sources_are_spread_evenly_and_stay_where_they_are() {
    let now = Instant::now();
    let mut pool = TokenPool::new(3);
    let first = poll(&mut pool, 10, now);
    assert_eq!(spread(&pool, now), [4, 3, 3]);
    for later_s in [1, 1000, 100_000] {
        assert_eq!(poll(&mut pool, 10, now + s(later_s)), first);
    }
}

#[test]
fn sources_are_spread_by_what_they_cost_and_a_small_difference_moves_none() {
    let now = Instant::now();
    let mut pool = polled(2, 10, now);
    pool.set_cost(&repository(0), 60.0);
    poll(&mut pool, 10, now);
    assert_eq!(spread(&pool, now), [1, 9], "the costly one stays alone");
    for round in 0..100 {
        (1..10).for_each(|number| pool.set_cost(&repository(number), 6.0 + (round + number) as f64 % 3.0));
        poll(&mut pool, 10, now);
        assert_eq!(spread(&pool, now), [1, 9], "round {round}");
    }
    pool.forget(&repository(0));
    assert_eq!(pool.token_of(&repository(0)), None);
    let total: f64 = pool.reports(now).map(|token| token.cost).sum();
    assert!((total - 63.0).abs() < 1e-6, "{total}");
}

#[test]
fn a_token_with_a_larger_quota_gets_more_sources() {
    let now = Instant::now();
    let mut pool = TokenPool::new(2);
    let large = Quota { remaining: 14_000, limit: Some(15_000), resets_in: s(900) };
    let hints = Hints { quota: Some(large), ..Hints::default() };
    pool.learn(
        &repository(99),
        token(2),
        &Answer { outcome: Outcome::NotModified, hints, moved_to: None },
        now,
    );
    (0..40).for_each(|number| _ = pool.choose(&repository(number), None, now));
    assert_eq!(spread(&pool, now), [10, 30]);
}

#[test]
fn a_refused_token_is_set_aside_its_sources_move_and_come_back_after_a_trial() {
    let now = Instant::now();
    let mut pool = polled(2, 10, now);
    let first = repository(0);
    assert_eq!((pool.token_of(&first), spread(&pool, now)), (Some(token(1)), vec![5, 5]));
    pool.learn(&first, token(1), &denied(), now);
    assert_eq!((pool.closed_for(&first, now), pool.all_closed_for(now)), (None, None));
    assert_eq!(poll(&mut pool, 10, now), [2; 10]);
    let states = pool.reports(now).map(|token| token.standing).collect::<Vec<_>>();
    assert_eq!((spread(&pool, now), states), (vec![0, 10], vec![Standing::Refused, Standing::Good]));
    assert_eq!(poll(&mut pool, 10, now + s(14)), [2; 10], "it is not tried sooner");

    let later = now + s(15);
    assert_eq!(pool.choose(&first, None, later), token(1), "one request tries it");
    assert_eq!(poll(&mut pool, 10, later), [2; 10], "and no other until that has its answer");
    pool.learn(&first, token(1), &denied(), later);
    assert_eq!((pool.choose(&first, None, later), pool.token_of(&first)), (token(2), Some(token(2))));

    assert_eq!(poll(&mut pool, 10, later + s(29)), [2; 10], "the next trial is later");

    let later = later + s(30);
    assert_eq!(pool.choose(&first, None, later), token(1));
    pool.learn(&first, token(1), &good(), later);
    assert_eq!(pool.token_of(&first), Some(token(1)), "it stays where it got its ETag");
    poll(&mut pool, 10, later);
    let settled = spread(&pool, later);
    assert!(settled.iter().all(|sources| (4..=6).contains(sources)), "{settled:?}");
    let seats = poll(&mut pool, 10, later);
    assert_eq!(poll(&mut pool, 10, later), seats, "none flaps");
}

#[test]
fn without_a_good_token_no_source_is_polled_until_the_first_trial() {
    let now = Instant::now();
    let mut pool = polled(2, 4, now);
    pool.learn(&repository(0), token(1), &denied(), now);
    pool.learn(&repository(1), token(2), &denied(), now + s(10));
    for number in 0..4 {
        assert_eq!(pool.all_closed_for(now + s(10)), Some(s(5)));
        assert!(pool.closed_for(&repository(number), now + s(10)).is_some());
    }
    assert_eq!(pool.choose(&repository(3), None, now + s(15)), token(1));
    assert_eq!(pool.all_closed_for(now + s(15)), Some(s(10)), "the other token's trial is next");
    for trial in [30_u64, 60, 120, 240, 300, 300] {
        pool.learn(&repository(1), token(1), &denied(), now);
        let wait = pool.reports(now).next().unwrap().wait;
        assert_eq!(wait, s(trial), "trials become rare");
    }
    assert_eq!(pool.quota(now), QuotaSum::default(), "no quota counts that nobody can use");
}

#[test]
fn a_used_up_quota_moves_sources_unless_it_starts_afresh_soon() {
    let now = Instant::now();
    for (resets_in_s, wait_s) in [(900, None), (59, Some(60)), (60, None)] {
        let mut pool = polled(2, 10, now);
        let mine = repository(0);
        pool.learn(&mine, token(1), &used_up(s(resets_in_s)), now);
        assert_eq!(pool.closed_for(&mine, now), wait_s.map(s), "{resets_in_s}");
        assert_eq!(pool.closed_for(&repository(1), now), None, "the other token goes on");
        assert_eq!(pool.closed_for(&mine, now + s(resets_in_s + 1)), None);
        assert_eq!(pool.quota(now).remaining, Some(4000));
        assert_eq!(pool.reports(now).map(|token| token.wait.is_zero()).collect::<Vec<_>>(), [false, true]);
    }
}

#[test]
fn a_secondary_limit_holds_for_all_tokens_and_a_primary_one_for_its_own() {
    let now = Instant::now();
    let mut pool = polled(2, 10, now);
    pool.learn(&repository(0), token(1), &secondary(30), now);
    for number in 0..10 {
        assert_eq!(pool.closed_for(&repository(number), now), Some(s(30)));
    }
    assert_eq!(pool.all_closed_for(now), Some(s(30)));
    let mut pool = polled(2, 10, now);
    pool.learn(&repository(0), token(1), &used_up(s(900)), now);
    assert_eq!(pool.all_closed_for(now), None);
}

#[test]
fn the_token_of_a_saved_etag_is_taken_if_there_is_one_of_that_number() {
    let now = Instant::now();
    let mut pool = TokenPool::new(2);
    let saved = [1, 1, 2, 3].into_iter().enumerate();
    let chosen: Vec<_> =
        saved.map(|(number, known)| pool.choose(&repository(number), Some(token(known)), now)).collect();
    assert_eq!(chosen, [token(1), token(1), token(2), token(2)]);
    let mut grown = TokenPool::new(3);
    (0..30).for_each(|number| _ = grown.choose(&repository(number), Some(token(1)), now));
    poll(&mut grown, 30, now);
    let spread = spread(&grown, now);
    assert!(spread.iter().all(|sources| (8..=12).contains(sources)), "a list that has grown: {spread:?}");
}

#[test]
fn sums_are_over_the_tokens_that_github_takes() {
    let now = Instant::now();
    let mut pool = polled(3, 3, now);
    pool.learn(&repository(0), token(1), &answer(Outcome::NotModified, 100, s(60)), now);
    let sum = QuotaSum { remaining: Some(8100), limit: Some(15_000), resets_in: Some(s(60)) };
    assert_eq!(pool.quota(now), sum);
    pool.learn(&repository(0), token(1), &denied(), now);
    let rest = QuotaSum { remaining: Some(8000), limit: Some(10_000), resets_in: Some(s(900)) };
    assert_eq!(pool.quota(now), rest);
}

#[test]
fn a_token_that_gets_old_answers_is_left_and_set_aside_until_it_gets_new_ones() {
    let now = Instant::now();
    let mut pool = polled(2, 10, now);
    let first = repository(0);
    pool.leave(&first, token(1), now);
    assert_eq!((pool.choose(&first, None, now), spread(&pool, now)), (token(2), vec![4, 6]));
    let set_aside = Moment { instant: now, utc: Utc::now() };
    pool.distrust(token(1), set_aside);
    assert_eq!(
        (poll(&mut pool, 10, now), pool.reports(now).next().unwrap().standing),
        (vec![2; 10], Standing::Old)
    );
    assert_eq!(poll(&mut pool, 10, now + s(899)), [2; 10]);

    let later = now + s(900);
    assert_eq!(pool.choose(&first, None, later), token(1), "a trial");
    pool.learn(&first, token(1), &good(), later);
    assert_eq!(pool.reports(later).next().unwrap().standing, Standing::Old, "an answer alone does not do");
    let created = |seconds| set_aside.utc + chrono::TimeDelta::seconds(seconds);
    pool.trust(&first, token(1), created(0), later);
    assert_eq!(pool.reports(later).next().unwrap().standing, Standing::Old, "nor one without a newer event");
    pool.trust(&first, token(1), created(1), later);
    assert_eq!(
        (pool.token_of(&first), pool.reports(later).next().unwrap().standing),
        (Some(token(1)), Standing::Good)
    );

    let mut alone = polled(1, 1, now);
    alone.leave(&first, token(1), now);
    assert_eq!(alone.choose(&first, None, now), token(1), "there is no other");
}

#[test]
fn a_token_that_is_refused_or_has_no_source_is_not_at_work() {
    let now = Instant::now();
    assert_eq!(TokenPool::new(3).at_work(), 1, "there is always one");
    let mut pool = polled(3, 9, now);
    assert_eq!(pool.at_work(), 3);
    pool.learn(&repository(0), token(2), &denied(), now);
    assert_eq!(pool.at_work(), 2);
}
