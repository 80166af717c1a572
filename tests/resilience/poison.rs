//! A delivery that ends every session, in a way that nobody foresaw: here the way to RabbitMQ breaks over its bytes.

use std::time::{Duration, Instant};

use crate::support::corner::{Corner, amqp_url};
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::proxy::Proxy;

const DEADLY: &[u8] = b"breaks-every-connection";
/// RabbitMQ delivers it 101 times, each over a session of its own.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn a_delivery_that_ends_every_session_goes_to_the_dead_letters_alone() {
    let corner = Corner::new("poison-sessions");
    let proxy = Proxy::up(&amqp_url());
    proxy.cut_at(DEADLY);
    let good: Vec<_> = (0..400).map(|id| event(id).bytes()).collect();
    corner.publish(&good[..200]);
    corner.publish(&[DEADLY.to_vec()]);
    corner.publish(&good[200..]);
    let loaders: Vec<_> = (0..4)
        .map(|_| corner.loader_at(&proxy.url(&corner.amqp_url), &corner.redis_url, &["--stream-maxlen", "0"]))
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while corner.loaded() < good.len() || corner.ready("load.dead") == 0 {
        assert!(Instant::now() < deadline, "{} loaded, {} dead", corner.loaded(), corner.ready("load.dead"));
        std::thread::sleep(Duration::from_millis(100));
    }
    corner.wait_until_ready("load", 0);
    assert!(loaders.iter().any(|loader| loader.stderr().contains("taking one at a time")));
    loaders.into_iter().for_each(|loader| drop(loader.stop()));
    let dead = corner.take_all("load.dead");
    assert_eq!(dead.iter().map(|letter| &letter.body[..]).collect::<Vec<_>>(), [DEADLY]);
    assert_same("Redis", &corner.dump(), &Oracle::of(&good).lines());
}
