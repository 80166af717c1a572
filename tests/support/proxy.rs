//! A TCP proxy between a program and a server, to take the server away from one program only, or to hold back what the
//! program sends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::redis_server::free_port;

pub struct Proxy {
    pub port: u16,
    target: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Nothing is accepted any more.
    stopped: AtomicBool,
    /// What clients send is swallowed.
    swallows: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy for the server in `url` that does not listen yet: connections to its port are refused.
    pub fn away(url: &str) -> Self {
        let url = url::Url::parse(url).unwrap();
        let target = url.socket_addrs(|| None).unwrap()[0];
        Self { port: free_port(), target, shared: Arc::default(), acceptor: None }
    }

    /// A proxy that is there.
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
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// From now on swallows what clients send (an ack, say) and still delivers what the server sends.
    pub fn swallow_what_clients_send(&self) {
        self.shared.swallows.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let (client_in, server_in) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let shared = Arc::clone(self);
        let (client_out, server_out) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        self.connections.lock().unwrap().extend([client, server]);
        std::thread::spawn(move || {
            pump(client_in, server_out, || !shared.swallows.load(Ordering::SeqCst));
        });
        std::thread::spawn(move || pump(server_in, client_out, || true));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, forwards: impl Fn() -> bool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if forwards() && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
