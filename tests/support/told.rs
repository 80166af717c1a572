//! Sources as a fetcher tells them, by messages of our own.

use github_event_etl::status::{SourceState, SourceStatus, SourcesPart};

use super::corner::{Corner, properties};

/// A source that is polled and well.
pub fn source(name: &str) -> SourceStatus {
    SourceStatus {
        source: name.into(),
        state: SourceState::Polled,
        coverage: Some(1.0),
        last_poll_at: Some(chrono::Utc::now()),
        ..SourceStatus::default()
    }
}

/// Tells these sources, a hundred in a message, as the fetcher does.
pub fn tell(corner: &Corner, sources: &[SourceStatus]) {
    let part = |chunk: &[SourceStatus]| SourcesPart {
        instance: "test".into(),
        sent_at: chrono::Utc::now(),
        total: sources.len() as u64,
        budget_covers_all: None,
        sources: chunk.to_vec(),
    };
    let bodies: Vec<_> = sources.chunks(100).map(|chunk| serde_json::to_vec(&part(chunk)).unwrap()).collect();
    tell_bodies(corner, &bodies);
}

/// Sends these messages as if they were about sources.
pub fn tell_bodies(corner: &Corner, bodies: &[Vec<u8>]) {
    let properties = properties("").with_type("sources".into());
    corner.amqp().publish(&corner.queue("status"), "", &properties, bodies);
}
