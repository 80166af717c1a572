//! Opens the text of a file. Its first bytes, not its name, show whether it is compressed.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// Bytes that are read and decompressed at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Bytes that are enough to recognise the format of a file.
const HEAD_BYTES: usize = 512;
const GZIP: &[u8] = &[0x1f, 0x8b];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The highest ratio of decompressed to compressed bytes in a file of some size. JSON lines have 10 to 20; more is a gzip bomb or
/// damage.
const RATIO_MAX: u64 = 200;
const RATIO_COUNTS_FROM_BYTES: u64 = 256 * 1024 * 1024;

/// Bytes read so far of a file as it is on disk; shared with the progress display.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Opens the text in `raw`, without a byte order mark. Gzip is decompressed, with all its members.
///
/// # Errors
/// When it cannot be read, or is plainly something else: a web page, another compression.
pub(super) fn open(raw: impl Read + Send + 'static, meter: &Meter) -> io::Result<Box<dyn BufRead + Send>> {
    let metered = Metered { inner: raw, meter: meter.clone() };
    let (head, raw) = peek(BufReader::with_capacity(BUFFER_BYTES, metered))?;
    if !head.starts_with(GZIP) {
        check(&head)?;
        return without_bom(&head, raw);
    }
    let inflated = Bounded { inner: MultiGzDecoder::new(raw), bytes: 0, meter: meter.clone() };
    let (head, text) = peek(BufReader::with_capacity(BUFFER_BYTES, inflated))?;
    if head.starts_with(GZIP) {
        return Err(unfit("it is gzipped twice: decompress it once"));
    }
    check(&head)?;
    without_bom(&head, text)
}

/// Reads the beginning, and gives it back with a reader that still begins with it.
fn peek<R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, impl BufRead)> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    (&mut reader).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

fn without_bom(head: &[u8], mut text: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    if head.starts_with(BOM) {
        text.consume(BOM.len());
    }
    Ok(Box::new(text))
}

/// Refuses bytes that cannot begin JSON lines, with the remedy.
fn check(head: &[u8]) -> io::Result<()> {
    let compressed: [(&[u8], &str); 4] = [
        (b"\x28\xb5\x2f\xfd", "zstd -dc"),
        (b"BZh", "bzip2 -dc"),
        (b"\xfd7zXZ\0", "xz -dc"),
        (b"PK\x03\x04", "unzip -p"),
    ];
    if let Some((_, remedy)) = compressed.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(unfit(&format!(
            "it is compressed, but not by gzip: pipe it in ({remedy} FILE | replay gharchive -)"
        )));
    }
    let text = head.strip_prefix(BOM).unwrap_or(head).trim_ascii_start();
    if text.starts_with(b"<") {
        return Err(unfit("it begins with '<': a web page or an error message saved in place of the events"));
    }
    Ok(())
}

fn unfit(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Counts the bytes that are read.
struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Ends a stream that decompresses to too many bytes.
struct Bounded<R> {
    inner: R,
    bytes: u64,
    meter: Meter,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        if self.bytes > RATIO_COUNTS_FROM_BYTES && self.bytes / self.meter.bytes().max(1) > RATIO_MAX {
            return Err(unfit("gzip bomb: it decompresses to more than 200 times its size"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn text_of(raw: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        open(Cursor::new(raw), &Meter::default())?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn gzip_of_one_or_many_members_and_plain_text_are_read_whatever_the_name() {
        let two_members = [gzip(b"one\n"), gzip(b"two\n")].concat();
        for (raw, text) in [
            (b"plain\n".to_vec(), "plain\n"),
            (gzip(b"packed\n"), "packed\n"),
            (two_members, "one\ntwo\n"),
            (b"\xef\xbb\xbf{}".to_vec(), "{}"),
            (gzip(b"\xef\xbb\xbf{}"), "{}"),
            (Vec::new(), ""),
            (gzip(b""), ""),
        ] {
            assert_eq!(text_of(raw).unwrap(), text);
        }
    }

    #[test]
    fn what_is_something_else_is_refused_with_the_remedy() {
        for (raw, why) in [
            (b"<!DOCTYPE html><html>".to_vec(), "web page"),
            (gzip(b"\n<?xml version='1.0'?><Error>NoSuchKey"), "web page"),
            (gzip(&gzip(b"{}")), "gzipped twice"),
            (b"\x28\xb5\x2f\xfd....".to_vec(), "zstd -dc"),
            (b"BZh91AY".to_vec(), "bzip2 -dc"),
        ] {
            let error = text_of(raw).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_gzip_that_ends_early_or_is_damaged_is_an_error_behind_what_could_be_read() {
        let text: Vec<u8> = (0..50_000).flat_map(|n: u32| format!("line {n}\n").into_bytes()).collect();
        let mut whole = gzip(&text);
        let cut = whole[..whole.len() / 2].to_vec();
        assert_eq!(text_of(cut).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        *whole.last_mut().unwrap() ^= 1;
        assert!(text_of(whole).is_err());
    }

    #[test]
    fn a_bomb_ends_before_it_has_gone_off() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        io::copy(&mut io::repeat(0).take(400_000_000), &mut encoder).unwrap();
        let mut text = open(Cursor::new(encoder.finish().unwrap()), &Meter::default()).unwrap();
        let error = io::copy(&mut text, &mut io::sink()).unwrap_err().to_string();
        assert!(error.contains("gzip bomb"), "{error}");
    }
}
