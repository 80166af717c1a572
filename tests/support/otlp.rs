//! A collector of spans: takes OTLP over HTTP and reads as much of the protocol's buffers as tests ask about. It shares no code
//! with the program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A span as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The program that sent it.
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    /// Traces that it links to.
    pub links: Vec<String>,
}

/// Runs until the test ends.
pub struct Collector {
    pub url: String,
    came: Arc<Mutex<Came>>,
}

#[derive(Default)]
struct Came {
    connections: usize,
    spans: Vec<Span>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::new(Mutex::new(Came::default()));
        let collector = Self { url, came: Arc::clone(&came) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let came = Arc::clone(&came);
                came.lock().unwrap().connections += 1;
                // A client that goes away is its own affair.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, &came)));
            }
        });
        collector
    }

    pub fn connections(&self) -> usize {
        self.came.lock().unwrap().connections
    }

    /// What has come so far.
    pub fn spans(&self) -> Vec<Span> {
        self.came.lock().unwrap().spans.clone()
    }

    /// The spans of this service whose name begins so.
    pub fn named(&self, service: &str, name: &str) -> Vec<Span> {
        let is_one = |span: &Span| span.service == service && span.name.starts_with(name);
        self.spans().into_iter().filter(is_one).collect()
    }
}

fn serve(mut stream: TcpStream, came: &Mutex<Came>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut request, mut line) = (String::new(), String::new());
        let mut length = 0;
        while reader.read_line(&mut line)? > 0 && line.trim() != "" {
            if let Some((_, value)) = line.to_ascii_lowercase().split_once("content-length:") {
                length = value.trim().parse().unwrap();
            }
            request += &std::mem::take(&mut line);
        }
        if request.is_empty() {
            return Ok(());
        }
        assert!(request.starts_with("POST /v1/traces "), "{request}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        came.lock().unwrap().spans.extend(spans_in(&body));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(head.as_bytes())?;
    }
}

/// The spans of an `ExportTraceServiceRequest`
/// (<https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto>).
fn spans_in(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in all(request, 1) {
        let mut attributes = all(of_resource, 1).into_iter().flat_map(|resource| all(resource, 1));
        let service = attributes.find(|pair| text(pair, 1) == "service.name");
        let service = service.map(|pair| text(all(pair, 2)[0], 1)).unwrap_or_default();
        for span in all(of_resource, 2).into_iter().flat_map(|of_scope| all(of_scope, 2)) {
            spans.push(Span {
                service: service.clone(),
                name: text(span, 5),
                trace: hex(span, 1),
                id: hex(span, 2),
                parent: hex(span, 4),
                links: all(span, 13).into_iter().map(|link| hex(link, 1)).collect(),
            });
        }
    }
    spans
}

fn text(message: &[u8], field: u64) -> String {
    let value = all(message, field).last().copied().unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

fn hex(message: &[u8], field: u64) -> String {
    let value = all(message, field).last().copied().unwrap_or_default();
    value.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The values of a field that is text, bytes or a message, in order (<https://protobuf.dev/programming-guides/encoding/>).
fn all(mut message: &[u8], field: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).unwrap(),
            5 => 4,
            kind => panic!("no such type: {kind}"),
        };
        let (value, rest) = message.split_at(length);
        message = rest;
        if key >> 3 == field && key & 7 == 2 {
            found.push(value);
        }
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = message[0];
        *message = &message[1..];
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return value;
        }
    }
}
