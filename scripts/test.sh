#!/usr/bin/env bash
# Everything that must hold before a commit lands, cheap checks first. Stops the servers that it started.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

# step NAME COMMAND…: says what runs and how long it took.
step() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  say "$name: $((SECONDS - start)) s"
}

check_scripts() {
  local script
  for script in scripts/*.sh .ci/run; do bash -n "$script"; done
  if have shellcheck; then shellcheck -x scripts/*.sh .ci/run; else say "shellcheck is not installed: syntax only"; fi
}

check_docs() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps; }

run_tests() {
  scripts/servers.sh up
  eval "$(scripts/servers.sh env)"
  cargo test --locked
}

stop_servers() {
  trap '' INT TERM HUP
  if [ -z "$servers_were_there" ]; then scripts/servers.sh down; fi
}

# `make servers` may have started them: then they stay.
servers_were_there=
if running .data/test/rabbitmq/pid "$ROOT/.data/test"; then servers_were_there=1; fi
trap stop_servers EXIT
trap 'exit 130' INT TERM HUP

scripts/ensure-tools.sh check
scripts/ensure-servers.sh
step scripts check_scripts
step format cargo fmt --check
step clippy cargo clippy --locked --all-targets -- -D warnings
# What no plain `cargo test` runs is none of all targets to cargo.
step "clippy, soak" cargo clippy --locked --test soak -- -D warnings
step docs check_docs
step dependencies scripts/deny.sh
step tests run_tests
say "all is well after $SECONDS s"
