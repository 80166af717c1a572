//! GitHub, or who answers in its place, refuses, says nonsense, or says back what it was sent.

use super::*;
use crate::support::corner::{Corner, redis_url};

/// Answers with this status and says back, wherever it can, the token it was sent.
fn parrot(status: &'static str) -> u16 {
    answering(move |request| {
        let request = String::from_utf8_lossy(request);
        let token =
            request.split("earer ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap_or("none");
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nETag: \"{token}\"\r\nX-Poll-Interval: {token}\r\n\
             Link: <http://elsewhere.example/{token}>; rel=\"next\"\r\nLocation: http://elsewhere.example/{token}\r\n\
             X-Token: {token}\r\n\r\n{{\"message\":\"{token}\"}}"
        )
        .into_bytes()
    })
}

#[test]
fn no_answer_of_github_shows_the_token() {
    // A namespace for each: of several fetchers in one, only one asks GitHub.
    let (mut corners, statuses, mut suspects) = (
        Vec::new(),
        [
            "401 Unauthorized",
            "403 Forbidden",
            "404 Not Found",
            "429 Slow",
            "500 Error",
            "302 Found",
            "200 OK",
            "999 ?",
        ],
        Vec::new(),
    );
    for program in ["fetcher", "standalone"] {
        let addresses = statuses.map(|status| (status, parrot(status)));
        for (what, port) in addresses.into_iter().chain([("nothing listens", free_port())]) {
            let corner = Corner::undeclared("parrot", &["load"]);
            let variables = [
                ("AMQP_URL", corner.amqp_url.as_str()),
                ("REDIS_URL", &redis_url()),
                ("ETL_NAMESPACE", &corner.namespace),
                ("GITHUB_API_URL", &format!("http://127.0.0.1:{port}/")),
                ("GITHUB_TOKEN", GITHUB_TOKEN),
            ];
            suspects.push(Suspect::start(what, program, &variables, &[]));
            corners.push(corner);
        }
    }
    suspects.into_iter().for_each(|suspect| suspect.shows_nothing_after(" WARN "));
}
