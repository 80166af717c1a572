//! Results as Markdown tables, one for each part and workload.

use std::fmt::Write as _;

use super::{Figure, Report, Row};

pub fn markdown(report: &Report) -> String {
    let mut text = format!("{}\n", report.machine.sentence());
    for (name, events, bytes) in &report.workloads {
        let _ = writeln!(text, "Workload “{name}”: {events} events, {:.2} KB in the mean.", bytes / 1000.0);
    }
    let mut written: Vec<(&str, &str)> = Vec::new();
    for row in &report.rows {
        let group = (row.part.as_str(), row.workload.as_str());
        if !written.contains(&group) {
            written.push(group);
            let rows: Vec<_> = report
                .rows
                .iter()
                .filter(|row| (row.part.as_str(), row.workload.as_str()) == group)
                .collect();
            let _ = write!(text, "\n### {}: {}\n\n{}", group.0, group.1, table(&rows));
        }
    }
    for (heading, reasons) in [("Left out", &report.left_out), ("Failed", &report.failed)] {
        if !reasons.is_empty() {
            let _ = write!(text, "\n{heading}:\n\n- {}\n", reasons.join("\n- "));
        }
    }
    text
}

fn table(rows: &[&Row]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for figure in rows.iter().flat_map(|row| &row.figures) {
        if !columns.contains(&figure.name.as_str()) {
            columns.push(&figure.name);
        }
    }
    let mut text = String::from("| side |");
    columns.iter().for_each(|name| {
        let _ = write!(text, " {} |", heading(name));
    });
    text.push_str("\n|---|");
    text.push_str(&"--:|".repeat(columns.len()));
    for row in rows {
        let _ = write!(text, "\n| {} |", row.side);
        for column in &columns {
            let _ = write!(text, " {} |", row.figure(column).map_or_else(|| "–".into(), cell));
        }
    }
    text.push('\n');
    text
}

/// The name of a figure in words, with its unit.
fn heading(name: &str) -> String {
    let (kind, role) = name.split_once('.').unwrap_or((name, ""));
    let role = match role {
        "redis" => "Redis",
        "rabbitmq" => "RabbitMQ",
        role => role,
    };
    match kind {
        "events_per_s" => "events/s".into(),
        "cpu_s_per_100k" => format!("{role} CPU s per 100,000"),
        "peak_mib" => format!("{role} peak MiB"),
        "redis_bytes_per_event" => "Redis bytes per event".into(),
        "publisher_late_ms_p99" => "publisher late p99, ms".into(),
        kind => kind
            .strip_prefix("latency_ms_")
            .map_or(kind.to_owned(), |p| format!("{}, ms", p.replace('_', "."))),
    }
}

/// The median, and the range where there are several rounds.
fn cell(figure: &Figure) -> String {
    let text = |value| number(value, figure.median);
    match figure.rounds.len() {
        1 => text(figure.median),
        _ => format!("{} ({} to {})", text(figure.median), text(figure.min), text(figure.max)),
    }
}

/// Three digits, as the median has.
fn number(value: f64, median: f64) -> String {
    match median {
        median if median >= 1000.0 => thousands((value / 100.0).round() as i64 * 100),
        median if median >= 100.0 => format!("{value:.0}"),
        median if median >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: i64) -> String {
    if value < 1000 { value.to_string() } else { format!("{},{:03}", thousands(value / 1000), value % 1000) }
}
