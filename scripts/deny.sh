#!/usr/bin/env bash
# `cargo deny check` with deny.toml: licences, advisories, bans, sources. Builds cargo-deny when it is not there, which takes
# minutes. Where the RustSec database cannot be had either, it says so and builds nothing; DENY_BUILD=1 builds all the same.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=0.20.2
database=https://github.com/RustSec/advisory-db
tool=$ROOT/.tools/bin/cargo-deny

is_wanted() { [ "$("$1" --version 2>/dev/null)" = "cargo-deny $version" ]; }

# The database is on this machine already, or its server answers.
can_have_database() {
  compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/.git" >/dev/null && return 0
  say "asking whether $database answers"
  GIT_TERMINAL_PROMPT=0 within 10 git ls-remote --quiet "$database" HEAD >/dev/null 2>&1
}

# within SECONDS COMMAND…: macOS has no timeout; there, git's own limits have to do.
within() {
  local seconds=$1
  shift
  if have timeout; then timeout "$seconds" "$@"; else "$@"; fi
}

# In .tools, so that nobody's own cargo-deny is replaced; one that is installed and of this version will do.
ensure_tool() {
  ! is_wanted "$tool" || return 0
  if is_wanted cargo-deny; then
    tool=cargo-deny
    return
  fi
  if [ -z "${DENY_BUILD:-}" ] && ! can_have_database; then
    warn "DEPENDENCIES NOT CHECKED: neither cargo-deny $version nor the RustSec database can be had here"
    say "DENY_BUILD=1 make deny builds cargo-deny (some minutes) and checks licences, bans and sources without the database"
    exit 0
  fi
  say "building cargo-deny $version into .tools (once; some minutes)"
  nice -n 5 cargo install --quiet --locked cargo-deny --version "$version" --root "$ROOT/.tools"
}

# The one failure of the advisories check that is not about us.
database_cannot_be_had() { grep -q 'failed to fetch advisory database' "$1"; }

ensure_tool
cd "$ROOT"
"$tool" check bans licenses sources

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if "$tool" check advisories 2>"$log"; then
  cat "$log" >&2
elif database_cannot_be_had "$log"; then
  warn "ADVISORIES NOT CHECKED: the RustSec database could not be fetched; on a machine with internet they are"
else
  cat "$log" >&2
  exit 1
fi
