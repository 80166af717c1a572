//! The feed as it is when the simulator starts.

use chrono::Utc;

use super::feed::{Feed, Pace, Source, before};
use super::world::World;
use super::{Generator, recorded};
use github_event_etl::config::UsageError;

use super::SimulateArgs;

/// The feed at its start, as [`SimulateArgs`] describes.
pub(super) fn feed(args: &SimulateArgs) -> Result<Feed, UsageError> {
    let window = args.window as usize;
    let now = Utc::now();
    let pace = match args.per_poll {
        Some(events) if events as usize > window => {
            let text =
                format!("--per-poll {events}: must be at most --window {window}, or events would be lost");
            return Err(UsageError(text));
        }
        Some(events) => Pace::Poll { events: events as usize, up_to_date: false },
        None if args.rate > 0.0 => Pace::Clock { started_at: now, per_second: args.rate, entered: 0 },
        None => Pace::Still,
    };
    let still = matches!(pace, Pace::Still);
    let by_poll = matches!(pace, Pace::Poll { .. });
    if args.world.repositories.is_some() {
        return Ok(Feed::new(window, Source::Recorded(Vec::new().into_iter()), Pace::Still));
    }
    if args.events.is_empty() {
        let mut feed = Feed::new(window, Source::Generated(Box::new(generator(args))), pace);
        if !by_poll {
            feed.enter(window as u64, before(now, args.rate, window as u64));
        }
        return Ok(feed);
    }
    let mut events = Vec::new();
    for path in &args.events {
        events.extend(recorded::read(path)?);
    }
    let mut feed = Feed::new(window, Source::Recorded(events.into_iter()), pace);
    if still {
        feed.enter(u64::MAX, |_| now);
    }
    Ok(feed)
}

/// The world at its start, if there is one.
pub(super) fn world(args: &SimulateArgs) -> Option<World> {
    let world = || World::new(&args.world, args.seed, args.rate, args.window, Utc::now());
    args.world.repositories.map(|_| world())
}

fn generator(args: &SimulateArgs) -> Generator {
    let generator = Generator::new(args.seed);
    match args.mean_size {
        Some(bytes) => generator.with_mean_size(bytes),
        None => generator,
    }
}
