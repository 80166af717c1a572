//! Redis's memory: how much there is, and how much of it is used.

use super::settings::value;
use super::{Fault, Store};

/// Redis's memory now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Bytes used.
    pub used: u64,
    /// Bytes there are: `maxmemory`, or else the memory of Redis's machine.
    pub limit: u64,
    /// True if `limit` is `maxmemory`. Otherwise the kernel kills Redis when the machine's memory ends.
    pub has_maxmemory: bool,
}

impl Store {
    /// Redis's memory; nothing if this Redis does not tell it.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn memory_use(&self) -> Result<Option<MemoryUse>, Fault> {
        Ok(memory_in(&self.ask::<String>(redis::cmd("INFO").arg("memory")).await?))
    }
}

fn memory_in(info: &str) -> Option<MemoryUse> {
    let bytes = |name| value(info, name)?.parse::<u64>().ok();
    let maxmemory = bytes("maxmemory").filter(|bytes| *bytes > 0);
    Some(MemoryUse {
        used: bytes("used_memory")?,
        limit: maxmemory.or_else(|| bytes("total_system_memory"))?,
        has_maxmemory: maxmemory.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_maxmemory_or_else_the_machines_memory() {
        let info = "# Memory\r\nused_memory:100\r\ntotal_system_memory:1000\r\nmaxmemory:500\r\n";
        let limited = MemoryUse { used: 100, limit: 500, has_maxmemory: true };
        assert_eq!(memory_in(info), Some(limited));
        let unlimited = MemoryUse { limit: 1000, has_maxmemory: false, ..limited };
        assert_eq!(memory_in(&info.replace("maxmemory:500", "maxmemory:0")), Some(unlimited));
        for silent in ["", "used_memory:100\r\nmaxmemory:0\r\n", "maxmemory:1\r\n"] {
            assert_eq!(memory_in(silent), None, "{silent}");
        }
    }
}
