//! Row 47: two hundred clients of the live events, half of which never read, headers that trickle, and clients that come back at
//! once. The pipeline keeps its pace, the dashboard its memory, and whoever reads gets events.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::corner::Corner;
use crate::support::dashboard::{Dashboard, Stream};
use crate::support::events::event;
use crate::support::process::peak_memory_mib;
use crate::support::wait::eventually;

const PATH: &str = "/api/events/stream";
/// Events published, in portions, for longer than it takes to give up a client that does not read.
const PORTIONS: u32 = 30;
const PORTION: u32 = 300;
const GROWTH_MAX_MIB: f64 = 64.0;

/// Threads of clients that end when told.
struct Crowd {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn new() -> Self {
        Self { is_over: Arc::default(), threads: Vec::new() }
    }

    fn add(&mut self, body: impl FnOnce(&AtomicBool) + Send + 'static) {
        let is_over = Arc::clone(&self.is_over);
        self.threads.push(std::thread::spawn(move || body(&is_over)));
    }

    fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Clients that read all they get, and how many events that was.
fn readers(crowd: &mut Crowd, address: &str, count: usize) -> Arc<AtomicUsize> {
    let events = Arc::new(AtomicUsize::new(0));
    for _ in 0..count {
        let (mut stream, events) = (Stream::open(address, PATH, &[]), Arc::clone(&events));
        assert_eq!(stream.status, 200);
        crowd.add(move |is_over| {
            while !is_over.load(Ordering::SeqCst) {
                let said = stream.say().expect("who reads is not cut off");
                events.fetch_add(usize::from(said.event == "github-event"), Ordering::SeqCst);
            }
        });
    }
    events
}

/// Clients that send a byte of their headers a second, and begin anew when they are cut off.
fn trickle(crowd: &mut Crowd, address: &str, count: usize) {
    let address = address.to_owned();
    crowd.add(move |is_over| {
        let connect = || TcpStream::connect(&address).ok();
        let mut connections: Vec<_> = (0..count).map(|_| connect()).collect();
        while !is_over.load(Ordering::SeqCst) {
            for connection in &mut connections {
                let sent = connection.as_mut().is_some_and(|connection| connection.write_all(b"G").is_ok());
                if !sent {
                    *connection = connect();
                }
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

/// Clients that connect, say that they had an old event last, read a little, and come back at once.
fn return_at_once(crowd: &mut Crowd, address: &str, count: usize) {
    for _ in 0..count {
        let address = address.to_owned();
        crowd.add(move |is_over| {
            while !is_over.load(Ordering::SeqCst) {
                let request = format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\nLast-Event-ID: 1-0\r\n\r\n");
                if let Ok(mut connection) = TcpStream::connect(&address) {
                    let _ = connection.write_all(request.as_bytes());
                    let _ = connection.read(&mut [0; 100]);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
    }
}

fn clients(dashboard: &Dashboard) -> u64 {
    let metrics = dashboard.get("/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("github_etl_dashboard_stream_clients "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_crowd_of_bad_clients_costs_neither_pace_nor_memory() {
    let corner = Corner::new("watchers");
    let dashboard = Dashboard::ready(&corner);
    let _loader = corner.loader(&["--stream-maxlen", "2000"]);
    let padding = format!(r#""{}""#, "x".repeat(1000));
    let total = || dashboard.json("/api/overview")["loaded"]["total"].as_u64().unwrap();
    corner.publish(&(0..2000).map(|id| event(id).with("padding", &padding).bytes()).collect::<Vec<_>>());
    eventually("some are loaded and shown", || {
        total() == 2000 && dashboard.json("/api/events?limit=500")["events"].as_array().unwrap().len() == 500
    });
    let before = peak_memory_mib(dashboard.program.pid());

    let mut crowd = Crowd::new();
    let silent: Vec<_> = (0..100).map(|_| Stream::open(&dashboard.address, PATH, &[])).collect();
    let read = readers(&mut crowd, &dashboard.address, 100);
    trickle(&mut crowd, &dashboard.address, 50);
    return_at_once(&mut crowd, &dashboard.address, 50);
    let mut slowest = Duration::ZERO;
    let started = Instant::now();
    for portion in 0..PORTIONS {
        let ids = 2000 + portion * PORTION..2000 + (portion + 1) * PORTION;
        corner.publish(&ids.map(|id| event(id).with("padding", &padding).bytes()).collect::<Vec<_>>());
        let asked_at = Instant::now();
        total();
        slowest = slowest.max(asked_at.elapsed());
        std::thread::sleep((started + Duration::from_secs(u64::from(portion) + 1)) - Instant::now());
    }
    // The pace was 300 a second. A status that tells of it is at most two seconds old.
    std::thread::sleep(Duration::from_secs(3));
    let loaded = total();
    assert_eq!(loaded, u64::from(2000 + PORTIONS * PORTION), "loading has fallen behind");
    assert!(slowest < Duration::from_secs(2), "an answer took {slowest:?}");
    let most = peak_memory_mib(dashboard.program.pid());
    assert!(most - before < GROWTH_MAX_MIB, "memory grew from {before} to {most} MiB");
    let read = read.load(Ordering::SeqCst);
    assert!(read > 100 * 3000, "readers got {read} events");
    eventually("those who never read are cut off", || clients(&dashboard) <= 150);
    println!("memory {before:.0} to {most:.0} MiB, slowest answer {slowest:?}, {read} events read");
    crowd.end();
    drop(silent);
    eventually("nobody is left", || clients(&dashboard) == 0);
}

#[test]
fn more_clients_than_there_are_places_are_told_to_come_later_and_others_are_served() {
    let corner = Corner::new("places");
    let dashboard = Dashboard::ready(&corner);
    let watching: Vec<_> = (0..300).map(|_| Stream::open(&dashboard.address, PATH, &[])).collect();
    assert!(watching.iter().all(|stream| stream.status == 200));
    let refused = dashboard.get(PATH);
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "5"));
    assert_eq!(dashboard.get("/healthz").status, 200);
    drop(watching);
    eventually("there is room again", || Stream::open(&dashboard.address, PATH, &[]).status == 200);
}
