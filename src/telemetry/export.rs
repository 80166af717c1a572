//! Where spans go: to the collector at `OTEL_EXPORTER_OTLP_ENDPOINT`, by OTLP over HTTP, from a thread of its own.
//!
//! All `OTEL_…` variables are the standard's (<https://opentelemetry.io/docs/languages/sdk-configuration/>); the two with the address are
//! read here, so that `.env` may hold them, all others by the library from the process's own environment.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use url::Url;

use super::traces;
use crate::config::{Environment, UsageError};
use crate::health::{Dependency, Health};

/// For all kinds of telemetry; `/v1/traces` comes after it.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// For traces alone, as it is.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Sends the last spans when it is finished.
pub struct Exporting(Option<SdkTracerProvider>);

impl Exporting {
    /// Sends the last spans, and waits for that no longer than `patience`.
    pub fn finish(self, patience: Duration) {
        if let Some(provider) = &self.0 {
            // Spans that nobody takes are lost; the program's end is not to wait for them.
            let _ = provider.shutdown_with_timeout(patience);
        }
    }
}

/// Begins to export the spans of `program`, if the environment has an address. The first span opens the connection.
/// If the collector does not accept spans, `health` gets the failure.
///
/// # Errors
/// [`UsageError`] when the address is none.
pub fn export_spans(program: &str, environment: &Environment, health: &Health) -> anyhow::Result<Exporting> {
    let Some(endpoint) = endpoint(environment)? else { return Ok(Exporting(None)) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint.as_str())
        .build()
        .context("prepare to export spans")?;
    let mut resource = Resource::builder().with_attributes([
        KeyValue::new("service.namespace", env!("CARGO_PKG_NAME")),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", format!("{:016x}", rand::random::<u64>())),
    ]);
    if environment.lookup("OTEL_SERVICE_NAME")?.is_none() {
        resource = resource.with_service_name(program.to_owned());
    }
    let server = server(&endpoint);
    tracing::info!("exporting spans to {server}");
    let collector = health.extra(format!("the collector of spans at {server}"));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(ReportingExporter { exporter, collector, endpoint })
        .with_resource(resource.build())
        .build();
    traces::begin(provider.tracer(env!("CARGO_PKG_NAME")));
    Ok(Exporting(Some(provider)))
}

fn endpoint(environment: &Environment) -> Result<Option<Url>, UsageError> {
    let is =
        |name, value: &str| Ok(environment.lookup(name)?.is_some_and(|it| it.eq_ignore_ascii_case(value)));
    if is("OTEL_SDK_DISABLED", "true")? || is("OTEL_TRACES_EXPORTER", "none")? {
        return Ok(None);
    }
    // The address may hold a password: messages name the variable only.
    let parse = |name: &str, text: &str| {
        let url =
            Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| UsageError(format!("{name}: it must look like http://127.0.0.1:4318")))
    };
    if let Some(text) = environment.lookup(TRACES_ENDPOINT)? {
        return parse(TRACES_ENDPOINT, &text).map(Some);
    }
    let Some(text) = environment.lookup(ENDPOINT)? else { return Ok(None) };
    let mut url = parse(ENDPOINT, &text)?;
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(Some(url))
}

/// Host and port, without a password.
fn server(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// Says once when the collector takes no spans, and once when it takes them again.
#[derive(Debug)]
struct ReportingExporter<E> {
    exporter: E,
    collector: Dependency,
    endpoint: Url,
}

impl<E: SpanExporter> SpanExporter for ReportingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        match &result {
            Ok(()) => self.collector.up(),
            // The client's text holds the address, which may hold a password.
            Err(error) => self
                .collector
                .away(error.to_string().replace(self.endpoint.as_str(), &server(&self.endpoint))),
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
