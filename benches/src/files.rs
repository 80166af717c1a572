//! Files of events, one a line, gzipped or not.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use github_event_etl::event::Event;

/// About as many events as an hour of GitHub's feed has.
const EVENTS_OF_A_FILE: usize = 200_000;

/// The first `most` events of files and folders, each event once. Lines that are no events are left out.
pub fn events(paths: &[PathBuf], most: usize) -> Result<Vec<Vec<u8>>> {
    let (mut events, mut known) = (Vec::new(), HashSet::new());
    for path in all_files(paths)? {
        for line in lines(&path)? {
            let line = line.with_context(|| format!("read {}", path.display()))?;
            let Ok(event) = Event::parse(&line) else { continue };
            if events.len() < most && known.insert(format!("{} {}", event.id, event.created_at)) {
                events.push(line);
            }
        }
    }
    Ok(events)
}

/// Files as given; of folders, their files of events in the order of their names.
fn all_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| format!("--data: read {}", path.display()))?;
        let mut inside: Vec<_> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        inside.retain(|path| {
            path.to_str().is_some_and(|path| path.ends_with(".json.gz") || path.ends_with(".json"))
        });
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

fn lines(path: &Path) -> Result<impl Iterator<Item = std::io::Result<Vec<u8>>>> {
    let file = File::open(path).with_context(|| format!("--data: open {}", path.display()))?;
    let is_gzipped = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn BufRead> = if is_gzipped {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    Ok(reader.split(b'\n'))
}

/// Writes events as gzipped lines into files of an hour, and gives their paths.
pub fn write(folder: &Path, events: &[Vec<u8>]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (hour, events) in events.chunks(EVENTS_OF_A_FILE).enumerate() {
        let path = folder.join(format!("hour-{hour}.json.gz"));
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
        for event in events {
            encoder.write_all(event).and_then(|()| encoder.write_all(b"\n"))?;
        }
        encoder.finish()?.flush().with_context(|| format!("write {}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}
