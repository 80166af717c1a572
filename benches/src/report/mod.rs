//! Results: collected by side, shown as a table, written as JSON and as a chart.

pub mod chart;
mod json;
mod table;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// The figures of one side in one round. A name says its unit.
#[derive(Default)]
pub struct Figures(Vec<(String, f64)>);

impl Figures {
    /// Adds a figure, or replaces the one with this name.
    pub fn add(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// A figure of a side in all rounds.
#[derive(Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: Vec<f64>,
}

impl Figure {
    fn add(&mut self, value: f64) {
        self.rounds.push(value);
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        self.median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        (self.min, self.max) = (sorted[0], sorted[sorted.len() - 1]);
    }
}

/// A side of a part with a workload.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub part: String,
    pub workload: String,
    pub side: String,
    pub figures: Vec<Figure>,
}

impl Row {
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// All results of a run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    /// Events of a side, and their mean size, by workload.
    pub workloads: Vec<(String, usize, f64)>,
    pub rows: Vec<Row>,
    /// Parts and sides that did not run, with the reason.
    pub left_out: Vec<String>,
    /// Sides that ran and have no figures of a round, with the reason.
    pub failed: Vec<String>,
}

impl Report {
    pub fn new(machine: Machine) -> Self {
        Self { machine, workloads: Vec::new(), rows: Vec::new(), left_out: Vec::new(), failed: Vec::new() }
    }

    pub fn add(&mut self, part: &str, workload: &str, side: &str, figures: Figures) {
        let is_same = |row: &Row| row.part == part && row.workload == workload && row.side == side;
        let place = self.rows.iter().position(is_same).unwrap_or_else(|| {
            let row =
                Row { part: part.into(), workload: workload.into(), side: side.into(), figures: Vec::new() };
            self.rows.push(row);
            self.rows.len() - 1
        });
        for (name, value) in figures.0 {
            let known = &mut self.rows[place].figures;
            let at = known.iter().position(|figure| figure.name == name).unwrap_or_else(|| {
                known.push(Figure { name, median: 0.0, min: 0.0, max: 0.0, rounds: Vec::new() });
                known.len() - 1
            });
            known[at].add(value);
        }
    }

    /// Writes `results.json`, `table.md` and `chart.svg` into `folder`, and prints the table.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        let table = table::markdown(self);
        println!("\n{table}");
        write("table.md", &table)?;
        write("results.json", &json::text(self)?)?;
        write("chart.svg", &chart::svg(self))?;
        println!("written to {}: table.md, results.json, chart.svg", folder.display());
        Ok(())
    }
}
