//! Loading: what is in the queue comes to stand in Redis, once, whatever happens to loaders on the way.

use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::feed;
use crate::support::oracle::Oracle;

#[test]
fn a_drained_queue_stands_in_redis_as_the_model_says() {
    let (corner, feed) = (Corner::new("drain"), feed(1000));
    corner.publish(&feed);
    corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&feed).lines());
    assert_eq!(corner.ready("load"), 0);
}
