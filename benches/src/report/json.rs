//! Results as JSON, for programs and for the chart.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::Report;

pub fn text(report: &Report) -> Result<String> {
    serde_json::to_string_pretty(report).context("write the results as JSON")
}

pub fn read(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} holds no results", path.display()))
}
