//! Events from a file: recorded pages of the Events API, or GH Archive's JSON lines. Their bytes stay as they are.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use axum::body::Bytes;
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

use github_event_etl::config::UsageError;

/// The largest file after decompression; it is held in memory whole.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The events of `path` in the order in which they enter the feed: oldest first.
///
/// `.gz` is decompressed. JSON objects one after the other (lines, or glued together) are taken in file order. An array is a
/// page of the Events API, newest first, so it is taken from its end.
///
/// # Errors
/// [`UsageError`] when the file cannot be read, is too large, is not JSON or holds no event.
pub(super) fn read(path: &Path) -> Result<Vec<Bytes>, UsageError> {
    let refuse = |why: String| UsageError(format!("--events: {}: {why}", path.display()));
    let content = content(path).map_err(|error| refuse(format!("cannot read it: {error}")))?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!(
            "it holds more than {} GiB: cut it into smaller files",
            FILE_BYTES_MAX >> 30
        )));
    }
    let events = split(&Bytes::from(content)).map_err(|error| {
        refuse(format!(
            "not JSON ({error}): it must hold events as a JSON array or as JSON lines, perhaps gzipped (.gz)"
        ))
    })?;
    if events.is_empty() {
        return Err(refuse("it holds no event".into()));
    }
    Ok(events)
}

fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut content = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    } else {
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    }
    Ok(content)
}

/// Slices of `content`, so that the events take no memory of their own.
fn split(content: &Bytes) -> serde_json::Result<Vec<Bytes>> {
    let slice = |raw: &RawValue| content.slice_ref(raw.get().as_bytes());
    if content.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let page: Vec<&RawValue> = serde_json::from_slice(content)?;
        return Ok(page.into_iter().rev().map(slice).collect());
    }
    serde_json::Deserializer::from_slice(content).into_iter::<&RawValue>().map(|raw| raw.map(slice)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn split_text(text: &str) -> Vec<String> {
        let events = split(&Bytes::from(text.to_owned())).unwrap();
        events.iter().map(|raw| String::from_utf8(raw.to_vec()).unwrap()).collect()
    }

    #[test]
    fn bytes_stay_as_they_are() {
        let odd = r#"{"id":"1",  "n":12345678901234567890.10, "s":"\u00e9\/é" , "id":"1"}"#;
        assert_eq!(split_text(odd), [odd]);
        assert_eq!(split_text(&format!("[ {odd} ]\n")), [odd]);
    }

    #[test]
    fn lines_are_oldest_first_and_a_page_newest_first() {
        assert_eq!(
            split_text("{\"id\":1}\n\n{\"id\":2}{\"id\":3}\r\n"),
            [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]
        );
        assert_eq!(split_text(r#"[{"id":3},{"id":2}]"#), [r#"{"id":2}"#, r#"{"id":3}"#]);
    }

    #[test]
    fn a_gzipped_file_is_read_and_a_bad_one_named() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good.json.gz");
        let mut gzip =
            flate2::write::GzEncoder::new(File::create(&good).unwrap(), flate2::Compression::fast());
        gzip.write_all(b"{\"id\":1}\n").unwrap();
        gzip.finish().unwrap();
        assert_eq!(read(&good).unwrap(), [&b"{\"id\":1}"[..]]);

        for (content, complaint) in [("{\"id\":", "not JSON"), ("", "no event"), ("[]", "no event")] {
            let bad = dir.path().join("bad.json");
            std::fs::write(&bad, content).unwrap();
            let error = read(&bad).unwrap_err().to_string();
            assert!(error.contains(complaint) && error.contains("bad.json"), "{error}");
        }
        let missing = read(&dir.path().join("none.json")).unwrap_err().to_string();
        assert!(missing.contains("none.json") && missing.contains("cannot read"), "{missing}");
    }
}
