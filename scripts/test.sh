#!/usr/bin/env bash
# Everything that must hold before a commit lands, cheap checks first. Stops the servers that it started.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

run_stories() {
  start_test_servers
  # Stories wait most of the time.
  cargo test --locked --test pipeline -- --test-threads 4
}

stop_test_servers_at_exit

scripts/check.sh
scripts/ensure-servers.sh
scripts/ensure-promtool.sh
scripts/ensure-browser.sh
step "stories on servers" run_stories
say "all is well after $SECONDS s"
