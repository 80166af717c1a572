//! Settings of Redis that would break a promise of ours, told once at the start.

use super::{Fault, Store};

impl Store {
    /// What in Redis's settings puts loaded events at risk, each with its remedy; empty when all is well.
    ///
    /// `INFO` tells it, for which even managed servers need no extra right.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn risks(&self) -> Result<Vec<&'static str>, Fault> {
        let mut info = redis::cmd("INFO");
        info.arg("all");
        Ok(risks_in(&self.ask::<String>(&info).await?))
    }
}

fn risks_in(info: &str) -> Vec<&'static str> {
    let value =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mut risks = Vec::new();
    if value("aof_enabled") == Some("0") {
        risks.push("it has no append-only file and loses all since its last snapshot when killed; set appendonly yes");
    }
    let evicts = value("maxmemory_policy").is_some_and(|policy| policy != "noeviction");
    if evicts && value("maxmemory").is_some_and(|bytes| bytes != "0") {
        risks.push("it may evict the marks that keep events from being counted twice; set maxmemory-policy noeviction");
    }
    risks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_append_only_file_and_an_evicting_policy_are_told() {
        let good =
            "# Memory\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n";
        assert!(risks_in(good).is_empty());
        assert!(risks_in("").is_empty());
        assert_eq!(risks_in(&good.replace("aof_enabled:1", "aof_enabled:0")).len(), 1);
        let evicting = good.replace("noeviction", "allkeys-lru");
        assert!(risks_in(&evicting)[0].contains("noeviction"));
        assert!(risks_in(&evicting.replace("maxmemory:100", "maxmemory:0")).is_empty());
    }
}
