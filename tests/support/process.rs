//! What Linux says about a process: CPU time and memory, for the benchmark; signals.

use std::fs;

/// CPU seconds that a process and its waited-for children have used so far; 0 where there is no `/proc`.
pub fn cpu_seconds(pid: u32) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
    // The second field is the command in parentheses and may hold spaces; utime and stime are the 14th and 15th.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = after.split_whitespace().skip(11).take(2).filter_map(|f| f.parse().ok()).collect();
    // Linux counts in ticks of 1/100 s on every platform we run on.
    fields.iter().sum::<f64>() / 100.0
}

/// The most memory a process has had, in MiB; 0 where there is no `/proc`.
pub fn peak_memory_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("VmHWM: 0 kB");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Sends a signal such as `TERM`, `KILL` or `STOP`.
pub fn signal(pid: u32, name: &str) {
    let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}

/// The same for all processes of a group, which has the number of the one that began it.
pub fn signal_group(group: u32, name: &str) {
    let status =
        std::process::Command::new("kill").args([&format!("-{name}"), "--", &format!("-{group}")]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} -- -{group}");
}

/// True once a process has ended and waits to be asked for its exit code, when its CPU time is final.
pub fn is_zombie(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}
