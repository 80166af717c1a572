//! Results as an SVG chart: how fast each worker drains, and what that costs in CPU time.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Report, Row, json};

const WIDTH: f64 = 860.0;
const LABEL_WIDTH: f64 = 270.0;
const BAR_WIDTH: f64 = 470.0;
const LINE: f64 = 26.0;
/// Roles in the order of the bars' segments, with colours that differ in lightness too.
const ROLES: [(&str, &str, &str); 3] =
    [("worker", "worker", "#1f4e79"), ("redis", "Redis", "#d1633c"), ("rabbitmq", "RabbitMQ", "#e8b64c")];

/// Draws the results in the file `from` into the file `to`.
pub fn write(from: &Path, to: &Path) -> Result<()> {
    let chart = svg(&json::read(from)?);
    std::fs::write(to, chart).with_context(|| format!("write {}", to.display()))
}

/// The sides that load, of the first workload that has any.
fn sides(report: &Report) -> Vec<&Row> {
    let loads = |row: &&Row| row.part == "drain" || row.part == "peers";
    let workload = report.rows.iter().find(loads).map(|row| row.workload.as_str());
    let of_workload = |row: &&Row| loads(row) && Some(row.workload.as_str()) == workload;
    report.rows.iter().filter(of_workload).collect()
}

pub fn svg(report: &Report) -> String {
    let sides = sides(report);
    let (workload, events) = sides.first().map_or(("", 0), |side| {
        let known = report.workloads.iter().find(|(name, ..)| *name == side.workload);
        (side.workload.as_str(), known.map_or(0, |(_, events, _)| *events))
    });
    let panel = LINE * sides.len() as f64 + 70.0;
    let height = 2.0 * panel + 70.0;
    let mut chart = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" role=\"img\" aria-label=\"Events a second and CPU time of each worker\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut chart,
        16.0,
        28.0,
        "start",
        "bold",
        &format!("{events} events from a quorum queue into Redis: {workload}"),
    );
    text(&mut chart, 16.0, 48.0, "start", "normal", &report.machine.sentence());
    rates(&mut chart, &sides, 64.0);
    cpu(&mut chart, &sides, 64.0 + panel);
    chart.push_str("</svg>\n");
    chart
}

/// One bar a side, with the range of the rounds as a line.
fn rates(chart: &mut String, sides: &[&Row], top: f64) {
    text(
        chart,
        16.0,
        top + 24.0,
        "start",
        "bold",
        "Events a second: median, and range of the rounds (more is better)",
    );
    let figures: Vec<_> =
        sides.iter().filter_map(|side| Some((side, side.figure("events_per_s")?))).collect();
    let most = figures.iter().map(|(_, figure)| figure.max).fold(1.0, f64::max);
    for (place, (side, figure)) in figures.iter().enumerate() {
        let y = top + 38.0 + LINE * place as f64;
        let width = |value: f64| BAR_WIDTH * value / most;
        let colour = if side.part == "peers" { "#8c8c8c" } else { ROLES[0].2 };
        label(chart, y, side);
        bar(chart, LABEL_WIDTH, y, width(figure.median), colour);
        let (from, to) = (LABEL_WIDTH + width(figure.min), LABEL_WIDTH + width(figure.max));
        let middle = y + 9.0;
        let _ = writeln!(
            chart,
            "<path d=\"M{from:.1} {middle}H{to:.1}\" stroke=\"#000000\" stroke-width=\"1.5\"/>"
        );
        let value = format!("{:.0}", figure.median);
        text(chart, to.max(LABEL_WIDTH + width(figure.median)) + 8.0, y + 14.0, "start", "normal", &value);
    }
}

/// One stacked bar a side.
fn cpu(chart: &mut String, sides: &[&Row], top: f64) {
    text(chart, 16.0, top + 24.0, "start", "bold", "CPU seconds for 100,000 events (less is better)");
    let mut x = LABEL_WIDTH + 130.0;
    for (_, name, colour) in ROLES {
        bar(chart, x, top + 11.0, 14.0, colour);
        text(chart, x + 20.0, top + 24.0, "start", "normal", name);
        x += 105.0;
    }
    let seconds = |side: &Row, role: &str| {
        side.figure(&format!("cpu_s_per_100k.{role}")).map_or(0.0, |figure| figure.median)
    };
    let total = |side: &Row| ROLES.iter().map(|(role, ..)| seconds(side, role)).sum::<f64>();
    let most = sides.iter().map(|side| total(side)).fold(0.001, f64::max);
    for (place, side) in sides.iter().enumerate() {
        let y = top + 38.0 + LINE * place as f64;
        label(chart, y, side);
        let mut x = LABEL_WIDTH;
        for (role, _, colour) in ROLES {
            let width = BAR_WIDTH * seconds(side, role) / most;
            bar(chart, x, y, width, colour);
            x += width;
        }
        text(chart, x + 8.0, y + 14.0, "start", "normal", &format!("{:.1}", total(side)));
    }
}

fn label(chart: &mut String, y: f64, side: &Row) {
    text(chart, LABEL_WIDTH - 10.0, y + 14.0, "end", "normal", &side.side);
}

fn bar(chart: &mut String, x: f64, y: f64, width: f64, colour: &str) {
    let _ = writeln!(
        chart,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>"
    );
}

fn text(chart: &mut String, x: f64, y: f64, anchor: &str, weight: &str, what: &str) {
    let what = what.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        chart,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\" fill=\"#1a1a1a\">{what}</text>"
    );
}
