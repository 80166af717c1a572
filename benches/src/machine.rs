//! What the figures were measured on.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine, the versions and the time of a run.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub date: String,
    pub cores: usize,
    pub cpu: String,
    pub kernel: String,
    pub redis: String,
    pub rabbitmq: String,
    pub commit: String,
}

impl Machine {
    /// This machine; what cannot be learned is "unknown".
    pub fn this() -> Self {
        Self {
            date: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu().unwrap_or_else(unknown),
            kernel: first_line("uname", &["-sr"]).unwrap_or_else(unknown),
            redis: redis().unwrap_or_else(unknown),
            rabbitmq: rabbitmq().unwrap_or_else(unknown),
            commit: first_line("git", &["describe", "--always", "--dirty"]).unwrap_or_else(unknown),
        }
    }

    pub fn sentence(&self) -> String {
        let Self { date, cores, cpu, kernel, redis, rabbitmq, commit } = self;
        format!(
            "{date}, commit {commit}: {cores} cores ({cpu}), {kernel}, Redis {redis}, RabbitMQ {rabbitmq}."
        )
    }
}

fn unknown() -> String {
    "unknown".into()
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn redis() -> Option<String> {
    let line = first_line("redis-server", &["--version"])?;
    line.split_whitespace().find_map(|word| word.strip_prefix("v=").map(str::to_owned))
}

/// The version that Debian's folder of the server says.
fn rabbitmq() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib/rabbitmq/lib").ok()?;
    let names = folders.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.into_iter().find_map(|name| name.strip_prefix("rabbitmq_server-").map(str::to_owned))
}
