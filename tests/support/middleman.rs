//! Something between a program and Redis that understands the protocol and answers in Redis's place when told to, as proxies
//! do whose server is away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Runs until the test ends.
pub struct Middleman {
    pub url: String,
    orders: Arc<Orders>,
}

#[derive(Default)]
struct Orders {
    /// Commands that hold these words are refused with that line; all of them if there are no words.
    refusing: Mutex<Option<(String, String)>>,
    refused: AtomicUsize,
}

impl Middleman {
    /// In front of the Redis at `redis_url`.
    pub fn before(redis_url: &str) -> Self {
        let target = url::Url::parse(redis_url).unwrap().socket_addrs(|| None).unwrap()[0];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let orders = Arc::new(Orders::default());
        let middleman = Self { url, orders: Arc::clone(&orders) };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else { continue };
                let orders = Arc::clone(&orders);
                // A client that goes away is its own affair.
                std::thread::spawn(move || serve(&client, &server, &orders));
            }
        });
        middleman
    }

    /// Answers commands that hold `words` with `-line`.
    pub fn refuse(&self, words: &str, line: &str) {
        *self.orders.refusing.lock().unwrap() = Some((words.into(), line.into()));
    }

    /// Lets everything through.
    pub fn serve(&self) {
        *self.orders.refusing.lock().unwrap() = None;
    }

    /// How many commands it has refused.
    pub fn refused(&self) -> usize {
        self.orders.refused.load(Ordering::SeqCst)
    }
}

/// One command after the other, so that answers come in order, also those that the server does not give.
fn serve(client: &TcpStream, server: &TcpStream, orders: &Orders) -> std::io::Result<()> {
    let (mut commands, mut answers) = (BufReader::new(client), BufReader::new(server));
    let (mut client, mut server) = (client, server);
    loop {
        let mut command = Vec::new();
        read_value(&mut commands, &mut command)?;
        let refusal = orders.refusing.lock().unwrap().clone().filter(|(words, _)| holds(&command, words));
        match refusal {
            Some((_, line)) => {
                orders.refused.fetch_add(1, Ordering::SeqCst);
                client.write_all(format!("-{line}\r\n").as_bytes())?;
            }
            None => {
                server.write_all(&command)?;
                let mut answer = Vec::new();
                read_value(&mut answers, &mut answer)?;
                client.write_all(&answer)?;
            }
        }
    }
}

fn holds(command: &[u8], words: &str) -> bool {
    words.is_empty() || command.windows(words.len()).any(|window| window == words.as_bytes())
}

/// Appends one value (<https://redis.io/docs/latest/develop/reference/protocol-spec/>) as it comes.
fn read_value(from: &mut impl BufRead, to: &mut Vec<u8>) -> std::io::Result<()> {
    let start = to.len();
    if from.read_until(b'\n', to)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let line = std::str::from_utf8(&to[start..]).unwrap().trim_end().to_owned();
    let count = || line[1..].parse::<i64>().unwrap();
    match line.as_bytes()[0] {
        b'$' if count() >= 0 => {
            let bytes = u64::try_from(count()).unwrap() + 2;
            from.take(bytes).read_to_end(to).map(drop)
        }
        b'*' => (0..count()).try_for_each(|_| read_value(from, to)),
        _ => Ok(()),
    }
}
