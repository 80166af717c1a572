//! A message that kills every loader that loads it ends in the dead letters. The messages delivered beside it load.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::support::corner::Corner;
use crate::support::dump::{assert_same, keys};
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::program::Program;
use crate::support::wait::eventually;

/// The poison's id. No name of the test's namespace may hold it: a random one such as `test-poison-1…` would trip the wire
/// with every command, and no loader would live to load anything.
const POISON: &str = "deadly";

/// A way to Redis that reports when the poison is sent to be loaded, and swallows it: what the loader was doing when it died.
struct Tripwire {
    url: String,
    tripped: Receiver<()>,
}

impl Tripwire {
    fn before(redis_url: &str) -> Self {
        let target = url::Url::parse(redis_url).unwrap();
        let address = target.socket_addrs(|| None).unwrap()[0];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let (trip, tripped) = channel();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(address)) else { return };
                let (answers, back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let trip = trip.clone();
                std::thread::spawn(move || forward(client, server, &trip));
                std::thread::spawn(move || std::io::copy(&mut &answers, &mut &back));
            }
        });
        Self { url, tripped }
    }

    /// True when the loader has died of the poison, false when it ended well without it.
    fn kills(&self, loader: Program) -> bool {
        eventually("the loader trips or ends", || {
            self.tripped.try_recv().is_ok_and(|()| true) || loader.stderr().contains("loader done")
        });
        let ends_well = loader.stderr().contains("loader done");
        if ends_well {
            loader.succeed();
        } else {
            loader.kill();
        }
        !ends_well
    }
}

/// Passes on what the client sends until the poison is in it.
fn forward(mut client: TcpStream, mut server: TcpStream, trip: &Sender<()>) {
    let mut seen = Vec::new();
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        // A batch may come in pieces, and the poison's name across two of them.
        seen.extend_from_slice(&buffer[..count]);
        if seen.windows(POISON.len()).any(|window| window == POISON.as_bytes()) {
            let _ = trip.send(());
            return;
        }
        seen.drain(..seen.len().saturating_sub(POISON.len()));
        if server.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn a_message_that_kills_loader_after_loader_ends_in_the_dead_letters_and_its_bystanders_load() {
    let corner = Corner::new("poison");
    let poison = format!(r#"{{"id":"{POISON}","type":"PushEvent","created_at":"2015-01-01T12:00:01Z"}}"#);
    let poison = poison.into_bytes();
    let good: Vec<Vec<u8>> = (0..300).map(|n| event(n).bytes()).collect();
    let (before, after) = good.split_at(100);
    let bodies: Vec<_> = before.iter().chain([&poison]).chain(after).cloned().collect();
    corner.publish(&bodies);
    let tripwire = Tripwire::before(&corner.redis_url);
    let mut deaths = 0;
    while tripwire.kills(corner.loader_at(
        &corner.amqp_url,
        &tripwire.url,
        &["--drain", "--stream-maxlen", "0", "--prefetch", "200"],
    )) {
        deaths += 1;
        assert!(deaths <= 6, "it still kills loaders");
        let queue = corner.queue("load");
        eventually("RabbitMQ sees the loader gone", || corner.amqp().consumers(&queue) == 0);
    }
    assert_eq!(deaths, 5, "two deaths among others make it a suspect, three alone prove it");
    let dead = corner.take_all("load.dead");
    assert_eq!(dead.iter().map(|message| &message.body).collect::<Vec<_>>(), [&poison]);
    assert!(dead[0].header("x-etl-reason").starts_with("crash-suspect: 3 loaders died"), "{:?}", dead[0]);
    assert_same("Redis", &corner.dump(), &Oracle::of(&good).lines());
    let left = keys(&mut corner.redis(), &corner.namespace);
    assert!(!left.iter().any(|key| key.contains("crash-suspect")), "the journal is empty again");
}
