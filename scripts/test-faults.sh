#!/usr/bin/env bash
# The faults that take minutes, rows 24 to 50 of docs/FAULTS.md, and arbitrary messages and settings. Stops the servers that it started.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

stop_test_servers_at_exit

scripts/ensure-tools.sh build
scripts/ensure-servers.sh
start_test_servers
cargo test --locked --test resilience
