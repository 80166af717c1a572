//! A dashboard, and clients of it: plain requests and event streams.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::corner::Corner;
use super::program::Program;
use super::wait::eventually;

/// What it says when it listens.
pub const LISTENS: &str = "the dashboard is at http://";

/// A running dashboard.
pub struct Dashboard {
    pub program: Program,
    pub address: String,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Dashboard {
    /// Starts one in this corner, on a free port.
    pub fn start(corner: &Corner, arguments: &[&str]) -> Self {
        Self::start_at(corner, &corner.amqp_url, &corner.redis_url, arguments, &[])
    }

    /// Starts one that finds the servers at other addresses, with more variables.
    pub fn start_at(
        corner: &Corner,
        amqp_url: &str,
        redis_url: &str,
        arguments: &[&str],
        more: &[(&str, &str)],
    ) -> Self {
        let variables =
            [("AMQP_URL", amqp_url), ("REDIS_URL", redis_url), ("ETL_NAMESPACE", &corner.namespace)];
        let variables = [&variables, more].concat();
        let program =
            Program::start("dashboard", &variables, &[&["--listen", "127.0.0.1:0"], arguments].concat());
        let address = address_in(&program.wait_for(LISTENS));
        Self { program, address }
    }

    /// Starts one and waits until it hears RabbitMQ and Redis.
    pub fn ready(corner: &Corner) -> Self {
        let dashboard = Self::start(corner, &[]);
        eventually("the dashboard is ready", || dashboard.get("/readyz").status == 200);
        dashboard
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[("Host", &self.address)], "")
    }

    /// The answer's JSON; asserts that there is one.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        request(&self.address, method, path, headers, body).unwrap()
    }

    /// Watches live events.
    pub fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        Stream::open(&self.address, path, headers)
    }
}

/// The address in the line that a dashboard says when it listens.
pub fn address_in(line: &str) -> String {
    line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned()
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The text of its error.
    #[track_caller]
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    fn read(reader: &mut impl BufRead) -> std::io::Result<Self> {
        let (status, headers) = head(reader)?;
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        Ok(Self { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// One request. HTTP/1.0, so that the answer comes whole and ends with the connection.
pub fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(15)))?;
    connection.write_all(head_of(method, path, headers, body.len()).as_bytes())?;
    connection.write_all(body.as_bytes())?;
    Answer::read(&mut BufReader::new(connection))
}

fn head_of(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = if length > 0 { format!("Content-Length: {length}\r\n") } else { String::new() };
    format!("{method} {path} HTTP/1.0\r\n{headers}{length}\r\n")
}

fn head(reader: &mut impl BufRead) -> std::io::Result<(u16, BTreeMap<String, String>)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status =
        line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Ok((status, headers))
}

/// A client of the event stream.
pub struct Stream {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    reader: BufReader<TcpStream>,
}

/// What the stream says: an event with its fields, or a comment.
#[derive(Debug, Default, Clone)]
pub struct Said {
    pub id: String,
    pub event: String,
    pub data: String,
    pub comment: String,
    pub retry: String,
}

impl Said {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Stream {
    pub fn open(address: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let headers = [&[("Host", address)], headers].concat();
        connection.write_all(head_of("GET", path, &headers, 0).as_bytes()).unwrap();
        let mut reader = BufReader::new(connection);
        let (status, headers) = head(&mut reader).unwrap();
        Self { status, headers, reader }
    }

    /// The next thing it says; nothing when it has ended.
    pub fn say(&mut self) -> Option<Said> {
        let mut said = Said::default();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.strip_suffix('\n').unwrap();
            let field = |name: &str| line.strip_prefix(name).map(str::to_owned);
            match line {
                "" => return Some(said),
                _ if line.starts_with("id: ") => said.id = field("id: ").unwrap(),
                _ if line.starts_with("event: ") => said.event = field("event: ").unwrap(),
                _ if line.starts_with("data: ") => said.data = field("data: ").unwrap(),
                _ if line.starts_with(": ") => said.comment = field(": ").unwrap(),
                _ if line.starts_with("retry: ") => said.retry = field("retry: ").unwrap(),
                _ => panic!("no field: {line:?}"),
            }
        }
    }

    /// The next `github-event`; what else is said before goes by.
    #[track_caller]
    pub fn event(&mut self) -> Said {
        loop {
            let said = self.say().expect("the stream has ended");
            if said.event == "github-event" {
                return said;
            }
        }
    }

    /// What is left of the body, to be read as bytes.
    pub fn into_reader(self) -> impl Read {
        self.reader
    }
}
