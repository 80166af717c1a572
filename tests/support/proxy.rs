//! A TCP proxy between a program and a server, to break the network for one program only: refuse, black-hole, reset, cut,
//! slow down.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::redis_server::free_port;

pub struct Proxy {
    pub port: u16,
    target: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the program under test to the server.
    ToServer,
    /// From the server to the program under test.
    ToClient,
}

struct Shared {
    /// Nothing is accepted any more.
    stopped: AtomicBool,
    /// How many bytes the client of the next connection may send; it is broken then.
    next_may_send: AtomicU64,
    /// Bytes forwarded at once, and the pause after them; 0 means as they come.
    slice: Mutex<(usize, Duration)>,
    /// The link to the server that all connections share.
    uplink: Mutex<Option<Uplink>>,
    /// What breaks a connection when the server sends it.
    deadly: Mutex<Option<Vec<u8>>>,
    links: Mutex<Vec<Arc<Link>>>,
    /// Bytes taken and not forwarded.
    swallowed: AtomicU64,
}

/// A link with a fixed rate, and the time until which it is busy.
struct Uplink {
    bytes_per_second: f64,
    busy_until: Instant,
}

/// A client's connection and ours to the server for it.
struct Link {
    client: TcpStream,
    server: TcpStream,
    /// What comes is taken and not forwarded.
    holes: [AtomicBool; 2],
    /// It ends by a reset, not by an end of file.
    resets: AtomicBool,
    /// How many bytes the client may still send.
    may_send: AtomicU64,
}

impl Proxy {
    /// A proxy for the server in `url` that does not listen yet: connections to its port are refused.
    pub fn away(url: &str) -> Self {
        let url = url::Url::parse(url).unwrap();
        let target = url.socket_addrs(|| None).unwrap()[0];
        Self { port: free_port(), target, shared: Arc::default(), acceptor: None }
    }

    /// A proxy that listens.
    pub fn up(url: &str) -> Self {
        let mut proxy = Self::away(url);
        proxy.start();
        proxy
    }

    /// `url` with this proxy's address in place of the server's.
    pub fn url(&self, url: &str) -> String {
        let mut url = url::Url::parse(url).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.into()
    }

    /// Listens and forwards.
    pub fn start(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        self.shared = Arc::default();
        let (shared, target) = (Arc::clone(&self.shared), self.target);
        self.acceptor = Some(std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                // A server that is away closes its connections; so do we.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else { continue };
                // TCP_NODELAY: each slice is its own packet.
                let _ = client.set_nodelay(true).and(server.set_nodelay(true));
                shared.connect(client, server);
            }
        }));
    }

    /// Breaks every connection and refuses new ones.
    pub fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        acceptor.join().unwrap();
        self.links().iter().for_each(|link| link.end());
    }

    /// Black-holes all current connections: reads and discards. New connections work.
    pub fn black_hole(&self, ways: &[Way]) {
        for link in self.links() {
            ways.iter().for_each(|way| link.holes[*way as usize].store(true, Ordering::SeqCst));
        }
    }

    /// How many bytes black holes have taken so far.
    pub fn swallowed(&self) -> u64 {
        self.shared.swallowed.load(Ordering::SeqCst)
    }

    /// Resets the connections of now (RST), as a peer that lost its state does. New ones work.
    pub fn reset(&self) {
        self.links().iter().for_each(|link| link.reset());
    }

    /// Breaks each connection of now as soon as its client has sent `bytes` more; what it sends beyond does not arrive.
    pub fn cut_after(&self, bytes: u64) {
        self.links().iter().for_each(|link| link.may_send.store(bytes, Ordering::SeqCst));
    }

    /// Breaks the next connection when its client has sent `bytes`. Those after it work.
    pub fn cut_the_next_after(&self, bytes: u64) {
        self.shared.next_may_send.store(bytes, Ordering::SeqCst);
    }

    /// True once the connection meant by [`Self::cut_the_next_after`] is there.
    pub fn has_the_next(&self) -> bool {
        self.shared.next_may_send.load(Ordering::SeqCst) == u64::MAX
    }

    /// Breaks every connection on which the server sends these bytes, before they arrive.
    pub fn cut_at(&self, bytes: &[u8]) {
        *self.shared.deadly.lock().unwrap() = Some(bytes.to_vec());
    }

    /// Forwards so many bytes at once, and pauses so long after each; 0 bytes end that.
    pub fn slow(&self, slice: usize, pause: Duration) {
        *self.shared.slice.lock().unwrap() = (slice, pause);
    }

    /// All that clients send goes over one link of so many megabits a second, byte after byte in the order in which it came.
    pub fn uplink(&self, megabits_per_second: f64) {
        let bytes_per_second = megabits_per_second * 1e6 / 8.0;
        *self.shared.uplink.lock().unwrap() = Some(Uplink { bytes_per_second, busy_until: Instant::now() });
    }

    fn links(&self) -> Vec<Arc<Link>> {
        self.shared.links.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            stopped: AtomicBool::new(false),
            next_may_send: AtomicU64::new(u64::MAX),
            slice: Mutex::default(),
            uplink: Mutex::default(),
            deadly: Mutex::default(),
            links: Mutex::default(),
            swallowed: AtomicU64::new(0),
        }
    }
}

impl Shared {
    /// Waits until so many bytes have passed the link.
    fn take_uplink(&self, bytes: usize) {
        let passed = self.uplink.lock().unwrap().as_mut().map(|link| {
            let takes = Duration::from_secs_f64(bytes as f64 / link.bytes_per_second);
            link.busy_until = link.busy_until.max(Instant::now()) + takes;
            link.busy_until
        });
        if let Some(passed) = passed {
            std::thread::sleep(passed.saturating_duration_since(Instant::now()));
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let may_send = AtomicU64::new(self.next_may_send.swap(u64::MAX, Ordering::SeqCst));
        let link =
            Link { client, server, holes: Default::default(), resets: AtomicBool::new(false), may_send };
        let link = Arc::new(link);
        self.links.lock().unwrap().push(Arc::clone(&link));
        for way in [Way::ToServer, Way::ToClient] {
            let (shared, link) = (Arc::clone(self), Arc::clone(&link));
            std::thread::spawn(move || {
                link.pump(way, &shared);
                link.end();
                // The last reference closes the sockets, which is what sends a reset.
                shared.links.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &link));
            });
        }
    }
}

impl Shared {
    /// True if the pattern appears in the earlier bytes plus `bytes`.
    fn is_deadly(&self, seen: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let Some(deadly) = self.deadly.lock().unwrap().clone() else { return false };
        seen.extend_from_slice(bytes);
        let is_deadly = memchr::memmem::find(seen, &deadly).is_some();
        seen.drain(..seen.len().saturating_sub(deadly.len() - 1));
        is_deadly
    }
}

impl Link {
    fn pump(&self, way: Way, shared: &Shared) {
        let (mut from, mut to) = match way {
            Way::ToServer => (&self.client, &self.server),
            Way::ToClient => (&self.server, &self.client),
        };
        // Small, so that connections share a slow link fairly.
        let mut buffer = [0; 16 * 1024];
        let mut seen = Vec::new();
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if way == Way::ToClient && shared.is_deadly(&mut seen, &buffer[..count]) {
                return;
            }
            let allowed = if way == Way::ToServer { self.allow(count) } else { count };
            if way == Way::ToServer {
                shared.take_uplink(count);
            }
            let forwarded = if self.holes[way as usize].load(Ordering::SeqCst) {
                shared.swallowed.fetch_add(count as u64, Ordering::SeqCst);
                Ok(())
            } else {
                forward(&mut to, &buffer[..allowed], &shared.slice)
            };
            if forwarded.is_err() || allowed < count {
                return;
            }
        }
    }

    /// How many of `count` bytes the client may still send.
    fn allow(&self, count: usize) -> usize {
        let take = |left: u64| (left != u64::MAX).then(|| left.saturating_sub(count as u64));
        match self.may_send.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(left) => count.min(usize::try_from(left).unwrap()),
            Err(_) => count,
        }
    }

    fn end(&self) {
        // To shut down writing would send an end of file before the reset.
        let what = if self.resets.load(Ordering::SeqCst) { Shutdown::Read } else { Shutdown::Both };
        let _ = self.client.shutdown(what);
        let _ = self.server.shutdown(what);
    }

    fn reset(&self) {
        self.resets.store(true, Ordering::SeqCst);
        for socket in [&self.client, &self.server] {
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
        self.end();
    }
}

fn forward(to: &mut &TcpStream, mut bytes: &[u8], slice: &Mutex<(usize, Duration)>) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let (slice, pause) = *slice.lock().unwrap();
        let at_once = if slice == 0 { bytes.len() } else { slice.min(bytes.len()) };
        to.write_all(&bytes[..at_once])?;
        bytes = &bytes[at_once..];
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    Ok(())
}
