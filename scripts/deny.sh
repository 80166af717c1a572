#!/usr/bin/env bash
# `cargo deny check` with deny.toml: licences, advisories, bans, sources. Builds cargo-deny first when it is not there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=0.20.2
tool=$ROOT/.tools/bin/cargo-deny

is_wanted() { [ "$("$1" --version 2>/dev/null)" = "cargo-deny $version" ]; }

# In .tools, so that nobody's own cargo-deny is replaced; one that is installed and of this version will do.
ensure_tool() {
  ! is_wanted "$tool" || return 0
  if is_wanted cargo-deny; then
    tool=cargo-deny
    return
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
