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
  start_test_servers
  cargo test --locked
}

stop_test_servers_at_exit

scripts/ensure-tools.sh check
scripts/ensure-servers.sh
scripts/ensure-promtool.sh
scripts/ensure-browser.sh
step scripts check_scripts
step format cargo fmt --check
step clippy cargo clippy --locked --all-targets -- -D warnings
# What no plain `cargo test` runs is none of all targets to cargo.
step "clippy, fault tests" cargo clippy --locked --test resilience --test soak -- -D warnings
step docs check_docs
step dependencies scripts/deny.sh
step tests run_tests
say "all is well after $SECONDS s"
