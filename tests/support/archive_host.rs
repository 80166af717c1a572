//! A web server with GH Archive's files, on a bad day if wanted.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What befalls a request for a file.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    /// It is answered with this status.
    Status(u16),
    /// HEAD is answered with this status; GET meets nothing.
    Head(u16),
    /// The connection ends after so many bytes of the body.
    CutAfter(usize),
}

/// Runs until the test ends.
pub struct ArchiveHost {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

struct Served {
    folder: PathBuf,
    mishaps: Mutex<VecDeque<Mishap>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ArchiveHost {
    /// Serves the files of `folder`; the first requests for a file meet `mishaps`, one each.
    pub fn serving(folder: &Path, mishaps: &[Mishap]) -> Self {
        Self::serving_at(TcpListener::bind("127.0.0.1:0").unwrap(), folder, mishaps)
    }

    /// The same, at the address of `listener`.
    pub fn serving_at(listener: TcpListener, folder: &Path, mishaps: &[Mishap]) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let served = Arc::new(Served {
            folder: folder.to_owned(),
            mishaps: Mutex::new(mishaps.iter().copied().collect()),
            asked: Arc::clone(&asked),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let served = Arc::clone(&served);
                // A client that goes away is its own affair.
                std::thread::spawn(move || stream.and_then(|stream| served.answer(stream)));
            }
        });
        Self { url, asked }
    }

    /// Requests so far: `GET /2015-01-01-1.json.gz`, with ` from 1000` where only the rest was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Served {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or(Ok(String::new()))?;
        let mut from = None;
        for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
            if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                from = range.trim_end_matches('-').parse::<usize>().ok();
            }
        }
        let words: Vec<&str> = request.split(' ').collect();
        let [method, path, _] = words[..] else { return Ok(()) };
        let rest = from.map(|from| format!(" from {from}")).unwrap_or_default();
        self.asked.lock().unwrap().push(format!("{method} {path}{rest}"));
        let mishap = {
            let mut mishaps = self.mishaps.lock().unwrap();
            let befalls = |mishap: &Mishap| (method == "HEAD") == matches!(mishap, Mishap::Head(_));
            if mishaps.front().is_some_and(befalls) { mishaps.pop_front() } else { None }
        };
        if let Some(Mishap::Status(status) | Mishap::Head(status)) = mishap {
            return write!(
                stream,
                "HTTP/1.1 {status} Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        let Ok(file) = std::fs::read(self.folder.join(path.trim_start_matches('/'))) else {
            return write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        };
        let body = &file[from.unwrap_or(0)..];
        match from {
            Some(from) => write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n",
                file.len() - 1,
                file.len()
            )?,
            None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        }
        write!(stream, "ETag: \"v1\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
        match (method, mishap) {
            ("HEAD", _) => Ok(()),
            (_, Some(Mishap::CutAfter(bytes))) => stream.write_all(&body[..bytes]),
            _ => stream.write_all(body),
        }
    }
}
