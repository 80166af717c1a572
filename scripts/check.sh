#!/usr/bin/env bash
# Every check that needs no server and no root: scripts, format, clippy, docs, unit tests, sources and documents.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

check_scripts() {
  local script
  for script in scripts/*.sh .ci/run; do bash -n "$script"; done
  if have shellcheck; then shellcheck -x scripts/*.sh .ci/run; else say "shellcheck is not installed: syntax only"; fi
}

# --examples, although there are none: with it, cargo gives dependencies the features that they have for clippy. Without it, 43 of them
# are checked again.
check_docs() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --lib --bins --examples; }

scripts/ensure-tools.sh check
step scripts check_scripts
step "Kubernetes manifests" scripts/check-kubernetes.sh
step "systemd units" scripts/check-systemd.sh
step format cargo fmt --all --check
step clippy cargo clippy --locked --workspace --all-targets -- -D warnings
# What no plain `cargo test` runs is none of all targets to cargo.
step "clippy, fault tests" cargo clippy --locked --test resilience --test soak -- -D warnings
step docs check_docs
# The programs have no unit tests, so --bins would only link empty ones.
step "unit tests, sources, documents" cargo test --locked --lib --test house --test program
step "examples in docs" cargo test --locked --doc
