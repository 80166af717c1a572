#!/usr/bin/env bash
# The faults that take minutes, rows 24 to 50 of docs/FAULTS.md. Stops the servers that it started.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

stop_servers() {
  trap '' INT TERM HUP
  if [ -z "$servers_were_there" ]; then scripts/servers.sh down; fi
}

# `make servers` may have started them: then they stay.
servers_were_there=
if running .data/test/rabbitmq/pid "$ROOT/.data/test"; then servers_were_there=1; fi
trap stop_servers EXIT
trap 'exit 130' INT TERM HUP

scripts/ensure-tools.sh build
scripts/ensure-servers.sh
scripts/servers.sh up
eval "$(scripts/servers.sh env)"
cargo test --locked --test resilience
