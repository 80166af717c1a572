//! Everything that can be wrong with TLS is told in one line that says which, and what to do. Programs go on trying.

use super::*;
use crate::support::archive_host::ArchiveHost;
use crate::support::corner::Corner;
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::program::Program;
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;
use crate::support::tls_front;

/// What is wrong with a server, or with how we talk to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Expired,
    WrongHost,
    UnknownCa,
    NoClientCertificate,
    PlainToTls,
    TlsToPlain,
}

use Trouble::{Expired, NoClientCertificate, PlainToTls, TlsToPlain, UnknownCa, WrongHost};

const ALL: [Trouble; 6] = [Expired, WrongHost, UnknownCa, NoClientCertificate, PlainToTls, TlsToPlain];

impl Trouble {
    /// What a program must say. `plain` is the scheme without TLS, as in `amqp://`.
    fn told(self, plain: &str) -> String {
        match self {
            Expired => "the server's certificate has expired on 2021-01-01: renew it there".into(),
            WrongHost => {
                "the server's certificate is for elsewhere.example and not for localhost: use a name of the certificate".into()
            }
            UnknownCa => {
                "the server's certificate is signed by an unknown CA: give the CA with --ca-file (TLS_CA_FILE)".into()
            }
            NoClientCertificate => {
                "the server requires a client certificate: give --client-cert and --client-key (TLS_CLIENT_CERT, TLS_CLIENT_KEY)".into()
            }
            PlainToTls => {
                format!("the server speaks TLS on this port: use {}s://", plain.trim_end_matches("://"))
            }
            TlsToPlain => {
                format!("the server speaks no TLS on this port: check the port, or use {plain}")
            }
        }
    }

    /// The certificate of a server in this trouble.
    fn identity(self, trusted: &Authority, unknown: &Authority) -> Identity {
        match self {
            Expired => trusted.signs_expired(),
            WrongHost => trusted.signs(&["elsewhere.example"]),
            UnknownCa => unknown.signs(&HERE),
            NoClientCertificate | PlainToTls | TlsToPlain => trusted.signs(&HERE),
        }
    }
}

/// The two CAs of a story. Programs know the first.
fn authorities() -> (Authority, Authority) {
    (Authority::new("a CA of our own"), Authority::new("a CA of somebody else"))
}

/// Waits for the line about the server at `port`, and asserts that there is one, and that the program still runs after it.
#[track_caller]
fn tells_once(trouble: Trouble, program: Program, port: u16, plain: &str) {
    let line = program.wait_for(&format!("localhost:{port}"));
    assert!(line.contains(&trouble.told(plain)), "{trouble:?}: {line}");
    let ended = program.stop();
    let lines = ended
        .stderr
        .lines()
        .filter(|line| line.contains(&format!("localhost:{port}")) && line.contains("WARN"));
    assert_eq!(lines.count(), 1, "{trouble:?}: {}", ended.stderr);
}

#[test]
fn whatever_is_wrong_with_rabbitmqs_tls_is_told_in_one_line() {
    let (trusted, unknown) = authorities();
    let node = RabbitNode::lent();
    let identities = ALL.map(|trouble| trouble.identity(&trusted, &unknown));
    let client_ca = trusted.file();
    let listeners: Vec<_> = (ALL.iter().zip(&identities))
        .map(|(trouble, identity)| {
            (identity.paths(), (*trouble == NoClientCertificate).then_some(client_ca.as_path()))
        })
        .collect();
    let ports = node.listen_with_tls(&listeners);
    let started = ALL.map(|trouble| {
        let place = ALL.iter().position(|other| *other == trouble).unwrap();
        let (port, url) = match trouble {
            PlainToTls => (ports[place], amqps(ports[place]).replacen("amqps", "amqp", 1)),
            TlsToPlain => (node.port, amqps(node.port)),
            _ => (ports[place], amqps(ports[place])),
        };
        // It needs no other server.
        let variables = [("AMQP_URL", url.as_str()), ("TLS_CA_FILE", &trusted.path())];
        (trouble, port, Program::start("replay", &variables, &["archive", "--dry-run"]))
    });
    for (trouble, port, program) in started {
        tells_once(trouble, program, port, "amqp://");
    }
}

#[test]
fn whatever_is_wrong_with_rediss_tls_is_told_in_one_line() {
    let (trusted, unknown) = authorities();
    let corner = Corner::new("tlsredis");
    let started = ALL.map(|trouble| {
        let identity = trouble.identity(&trusted, &unknown);
        let requires_client = trouble == NoClientCertificate;
        let (redis, tls_port) =
            RedisServer::start_with_tls(&identity.paths(), &trusted.file(), requires_client);
        let (port, url) = match trouble {
            PlainToTls => (tls_port, rediss(tls_port).replacen("rediss", "redis", 1)),
            TlsToPlain => (redis.port, rediss(redis.port)),
            _ => (tls_port, rediss(tls_port)),
        };
        let variables = [
            ("AMQP_URL", corner.amqp_url.as_str()),
            ("REDIS_URL", &url),
            ("ETL_NAMESPACE", &corner.namespace),
            ("TLS_CA_FILE", &trusted.path()),
        ];
        (trouble, port, Program::start("loader", &variables, &[]), redis)
    });
    for (trouble, port, program, _redis) in started {
        tells_once(trouble, program, port, "redis://");
    }
}

/// The URL of a server in this trouble, with its port. `plain` is the address of the server without TLS.
fn web_server(trouble: Trouble, plain: &str, trusted: &Authority, unknown: &Authority) -> (u16, String) {
    let identity = trouble.identity(trusted, unknown);
    let client_ca = trusted.file();
    let port =
        tls_front::before(plain, &identity, (trouble == NoClientCertificate).then_some(client_ca.as_path()));
    match trouble {
        PlainToTls => (port, https(port).replacen("https", "http", 1)),
        TlsToPlain => {
            let port = plain.rsplit_once(':').unwrap().1.parse().unwrap();
            (port, https(port))
        }
        _ => (port, https(port)),
    }
}

#[test]
fn whatever_is_wrong_with_githubs_tls_is_told_in_one_line_and_ends_a_single_poll() {
    let (trusted, unknown) = authorities();
    let github = GitHub::recorded(&[event(1).bytes()], &[]);
    let plain = github.url.trim_start_matches("http://");
    let started = ALL.map(|trouble| {
        let (port, url) = web_server(trouble, plain, &trusted, &unknown);
        // A namespace for each: of several fetchers in one, only one asks GitHub.
        let corner = Corner::undeclared("tlsgithub", &["load"]);
        let variables = [
            ("AMQP_URL", corner.amqp_url.as_str()),
            ("ETL_NAMESPACE", &corner.namespace),
            ("GITHUB_API_URL", &url),
            ("TLS_CA_FILE", &trusted.path()),
        ];
        let polling = Program::start("fetcher", &variables, &[]);
        (trouble, port, polling, corner, url)
    });
    for (trouble, port, polling, corner, url) in started {
        tells_once(trouble, polling, port, "http://");
        let variables = [
            ("AMQP_URL", corner.amqp_url.as_str()),
            ("ETL_NAMESPACE", &corner.namespace),
            ("GITHUB_API_URL", &url),
            ("TLS_CA_FILE", &trusted.path()),
        ];
        let ended = Program::start("fetcher", &variables, &["--once"]).wait();
        let last = ended.stderr.lines().last().unwrap();
        assert!(ended.code == Some(1) && last.contains(&trouble.told("http://")), "{trouble:?}: {last}");
    }
}

#[test]
fn whatever_is_wrong_with_a_mirrors_tls_is_told_in_one_line() {
    let (trusted, unknown) = authorities();
    let (corner, files) = (Corner::new("tlsmirror"), tempfile::tempdir().unwrap());
    let mirror = ArchiveHost::serving(files.path(), &[]);
    let plain = mirror.url.trim_start_matches("http://");
    let started = ALL.map(|trouble| {
        let (port, url) = web_server(trouble, plain, &trusted, &unknown);
        let (state, arguments) =
            (tempfile::tempdir().unwrap(), ["gharchive", "2015-01-01-5", "--base-url", &url]);
        let variables = [
            ("AMQP_URL", corner.amqp_url.as_str()),
            ("ETL_NAMESPACE", &corner.namespace),
            ("REPLAY_STATE_DIR", state.path().to_str().unwrap()),
            ("TLS_CA_FILE", &trusted.path()),
        ];
        (trouble, port, Program::start("replay", &variables, &arguments), state)
    });
    for (trouble, port, program, _state) in started {
        tells_once(trouble, program, port, "http://");
    }
}

#[test]
fn a_certificate_that_is_renewed_ends_the_wait() {
    let (trusted, _) = authorities();
    let corner = Corner::new("tlsrenewed");
    let (redis, port) = RedisServer::start_with_tls(&trusted.signs_expired().paths(), &trusted.file(), false);
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("REDIS_URL", &rediss(port)),
        ("ETL_NAMESPACE", &corner.namespace),
        ("TLS_CA_FILE", &trusted.path()),
    ];
    let loader = Program::start("loader", &variables, &[]);
    loader.wait_for("has expired");
    let [certificate, key] = trusted.signs(&HERE).paths();
    redis.run(&format!("CONFIG SET tls-cert-file {certificate} tls-key-file {key}"));
    loader.wait_for("is back after");
    loader.wait_for("consuming");
    loader.stop();
}

#[test]
fn a_client_certificate_that_the_server_does_not_trust_is_told() {
    let (trusted, unknown) = authorities();
    let corner = Corner::new("tlsstranger");
    let (_redis, port) = RedisServer::start_with_tls(&trusted.signs(&HERE).paths(), &trusted.file(), true);
    let [certificate, key] = unknown.signs(&["etl"]).paths();
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("REDIS_URL", &rediss(port)),
        ("ETL_NAMESPACE", &corner.namespace),
        ("TLS_CA_FILE", &trusted.path()),
        ("TLS_CLIENT_CERT", &certificate),
        ("TLS_CLIENT_KEY", &key),
    ];
    let line = Program::start("loader", &variables, &[]).wait_for(" is away: ");
    assert!(
        line.contains("the server refuses our client certificate (UnknownCA): check --client-cert"),
        "{line}"
    );
}

#[test]
fn files_that_are_not_what_they_should_be_are_a_usage_error_that_names_them() {
    let (trusted, unknown) = authorities();
    let (client, other) = (trusted.signs(&["etl"]), unknown.signs(&["etl"]));
    let ([certificate, key], [_, other_key]) = (client.paths(), other.paths());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let damaged = file("damaged", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let broken = file("broken", "-----BEGIN CERTIFICATE-----\n!!!!\n");
    let passphrase = file(
        "passphrase",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let empty = file("empty", "hello\n");
    for (variables, flag, words) in [
        (&[("TLS_CA_FILE", "/no/such.pem")][..], "--ca-file (TLS_CA_FILE)", "cannot read /no/such.pem"),
        (&[("TLS_CA_FILE", &empty)], "--ca-file (TLS_CA_FILE)", "no certificate in it"),
        (&[("TLS_CA_FILE", &key)], "--ca-file (TLS_CA_FILE)", "no certificate in it"),
        (&[("TLS_CA_FILE", &broken)], "--ca-file (TLS_CA_FILE)", "not PEM"),
        (&[("TLS_CA_FILE", &damaged)], "--ca-file (TLS_CA_FILE)", "certificate 1 in it is damaged"),
        (
            &[("TLS_CLIENT_CERT", &certificate)],
            "--client-cert (TLS_CLIENT_CERT)",
            "needs --client-key (TLS_CLIENT_KEY)",
        ),
        (
            &[("TLS_CLIENT_KEY", &key)],
            "--client-key (TLS_CLIENT_KEY)",
            "needs --client-cert (TLS_CLIENT_CERT)",
        ),
        (
            &[("TLS_CLIENT_CERT", &certificate), ("TLS_CLIENT_KEY", &certificate)],
            "--client-key (TLS_CLIENT_KEY)",
            "no private key in it",
        ),
        (
            &[("TLS_CLIENT_CERT", &certificate), ("TLS_CLIENT_KEY", &passphrase)],
            "--client-key (TLS_CLIENT_KEY)",
            "its key has a passphrase",
        ),
        (
            &[("TLS_CLIENT_CERT", &certificate), ("TLS_CLIENT_KEY", &other_key)],
            "--client-cert (TLS_CLIENT_CERT) and --client-key (TLS_CLIENT_KEY)",
            "the key must be that of the file's first certificate",
        ),
    ] {
        for program in ["fetcher", "loader", "dashboard", "standalone"] {
            let ended = Program::start(program, variables, &[]).wait();
            let line = ended.stderr.lines().last().unwrap();
            assert_eq!(ended.code, Some(2), "{program}: {line}");
            assert!(line.contains(flag) && line.contains(words), "{program}: {line}");
        }
    }
}

#[test]
fn a_system_without_certificates_is_a_usage_error_only_where_tls_is_used() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let corner = Corner::new("tlsnone");
    let system = ("SSL_CERT_FILE", empty.path().to_str().unwrap());
    for (program, variable, url) in [
        ("loader", "AMQP_URL", "amqps://localhost/"),
        ("loader", "REDIS_URL", "rediss://localhost/"),
        ("fetcher", "GITHUB_API_URL", "https://localhost/"),
    ] {
        let ended = Program::start(program, &[system, (variable, url)], &[]).wait();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("this system has no CA certificates"), "{}", ended.stderr);
    }
    let variables = [
        system,
        ("AMQP_URL", &corner.amqp_url),
        ("REDIS_URL", &corner.redis_url),
        ("ETL_NAMESPACE", &corner.namespace),
    ];
    Program::start("loader", &variables, &["--drain"]).succeed();
}
