#!/usr/bin/env bash
# Makes sure of what building and checking need beside the servers.
#   ensure-tools.sh build   Rust and a C compiler
#   ensure-tools.sh check   these, rustfmt and clippy
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ensure_rust() {
  have cargo || die "no cargo found: install Rust from https://rustup.rs (and open a new shell), then run this again"
}

# The linker, and the compiler of the few C files in the TLS library.
ensure_c_compiler() {
  ! have cc || return 0
  say "missing: a C compiler"
  have apt-get || die "install a C compiler (cc), then run this again"
  "$ROOT/scripts/apt-install.sh" gcc libc6-dev
}

# rustup's minimal profile has neither.
ensure_component() {
  ! cargo "$1" --version >/dev/null 2>&1 || return 0
  have rustup || die "no cargo $1 found: install it, then run this again"
  say "adding $2 with rustup"
  rustup component add "$2"
}

ensure_rust
ensure_c_compiler
if [ "$1" = check ]; then
  ensure_component fmt rustfmt
  ensure_component clippy clippy
fi
