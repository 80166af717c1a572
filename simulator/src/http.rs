//! Sends answers, including those that no correct server would send.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::Simulator;
use super::answer::{Answer, Content};

pub(super) fn router(simulator: Simulator, shutdown: CancellationToken) -> Router {
    Router::new().fallback(handle).with_state((simulator, shutdown))
}

async fn handle(
    State((simulator, shutdown)): State<(Simulator, CancellationToken)>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let answer = simulator.answer(parts);
    if matches!(answer.body, Content::Never) {
        shutdown.cancelled().await;
    }
    response(answer, shutdown)
}

fn response(answer: Answer, shutdown: CancellationToken) -> Response {
    let body = match answer.body {
        Content::Whole(body) => Body::from(body),
        Content::Never => Body::empty(),
        Content::Cut(start) => until_shutdown(cut(start), shutdown),
        Content::Trickle(body) => until_shutdown(trickle(body), shutdown),
        Content::Long { start, filling, times } => until_shutdown(long(start, filling, times), shutdown),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// A body that may take for ever must not keep the program from stopping.
fn until_shutdown(parts: impl Stream<Item = Bytes> + Send + 'static, shutdown: CancellationToken) -> Body {
    Body::from_stream(parts.map(Ok::<_, Infallible>).take_until(shutdown.cancelled_owned()))
}

/// Ends before the promised length. The server then closes the connection. The pause lets the first bytes leave before that.
fn cut(start: Bytes) -> impl Stream<Item = Bytes> {
    let end = stream::once(tokio::time::sleep(Duration::from_millis(50))).filter_map(async |()| None);
    stream::once(std::future::ready(start)).chain(end)
}

fn trickle(body: Bytes) -> impl Stream<Item = Bytes> {
    stream::unfold(body, async |mut rest| {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((rest.split_to(1), rest))
    })
}

fn long(start: Bytes, filling: Bytes, times: u64) -> impl Stream<Item = Bytes> {
    // `usize` is 64 bits wherever this runs, and a smaller one would only make it shorter.
    let filling = stream::repeat(filling).take(usize::try_from(times).unwrap_or(usize::MAX));
    stream::once(std::future::ready(start)).chain(filling)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    async fn sent(body: Content, shutdown: &CancellationToken) -> Bytes {
        let answer = Answer { body, ..Answer::json(StatusCode::OK, "") };
        axum::body::to_bytes(response(answer, shutdown.clone()).into_body(), usize::MAX).await.unwrap()
    }

    #[tokio::test]
    async fn bodies_are_sent_as_told() {
        let running = CancellationToken::new();
        let text = || Bytes::from_static(b"[]");
        assert_eq!(sent(Content::Whole(text()), &running).await, "[]");
        assert_eq!(sent(Content::Cut(text()), &running).await, "[]");
        let long = Content::Long { start: text(), filling: Bytes::from_static(b"  "), times: 3 };
        assert_eq!(sent(long, &running).await, "[]      ");
        assert_eq!(sent(Content::Trickle(text().slice(..1)), &running).await, "[");
    }

    #[tokio::test]
    async fn endless_bodies_end_at_shutdown() {
        let stopped = CancellationToken::new();
        stopped.cancel();
        let text = || Bytes::from_static(b"[");
        assert!(sent(Content::Trickle(text()), &stopped).await.is_empty());
        let long = Content::Long { start: text(), filling: text(), times: u64::MAX };
        assert!(sent(long, &stopped).await.len() < 2);
    }
}
