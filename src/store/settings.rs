//! Checks, once at the start, the version of Redis and the settings that put loaded events at risk.

use super::{Fault, Store};

impl Store {
    /// What in Redis's settings puts loaded events at risk, each with its remedy; empty when all is well.
    ///
    /// `INFO` tells it, for which even managed servers need no extra right.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer, or is too old for the script.
    pub async fn risks(&self) -> Result<Vec<&'static str>, Fault> {
        let info = self.ask::<String>(redis::cmd("INFO").arg("all")).await?;
        if let Some(version) = version_too_old(&info) {
            return Err(Fault::Unusable(format!(
                "it is Redis {version}, and the script needs {VERSION_MIN} or newer: upgrade it, or use another server (Valkey will do)"
            )));
        }
        let mut risks = risks_in(&info);
        if self.primary.can_change() && loses_at_a_failover(&info) {
            risks.push(
                "it takes events while no replica follows, which a failover loses; set min-replicas-to-write 1, \
                 or load them again after a failover (replay archive --since)",
            );
        }
        Ok(risks)
    }
}

/// The first with PEXPIRETIME. Valkey, which began at 7.2, tells its Redis-compatible version in the same field.
const VERSION_MIN: u32 = 7;

pub(super) fn value<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The version, if it is known to be one that we cannot work with.
fn version_too_old(info: &str) -> Option<&str> {
    let version = value(info, "redis_version")?;
    let major: u32 = version.split('.').next()?.parse().ok()?;
    (major < VERSION_MIN).then_some(version)
}

/// True if nothing makes the primary refuse writes that no replica will have. The field is there only if that is set.
fn loses_at_a_failover(info: &str) -> bool {
    value(info, "min_slaves_good_slaves").is_none()
}

fn risks_in(info: &str) -> Vec<&'static str> {
    let value = |name| value(info, name);
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
    fn only_a_version_that_is_known_to_be_older_is_too_old() {
        assert_eq!(version_too_old("# Server\r\nredis_version:6.2.14\r\n"), Some("6.2.14"));
        for fine in
            ["redis_version:7.0.15\r\n", "redis_version:8.2\r\n", "redis_version:255.255.255", "", "x:1"]
        {
            assert_eq!(version_too_old(fine), None, "{fine}");
        }
    }

    #[test]
    fn a_primary_that_needs_no_replica_may_lose_events() {
        assert!(loses_at_a_failover("# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"));
        assert!(!loses_at_a_failover("# Replication\r\nmin_slaves_good_slaves:2\r\n"));
    }

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
