#!/usr/bin/env bash
# Makes sure of what the test of the dashboard's page needs: Chromium and ChromeDriver, installed when missing, and
# axe-core, which looks for what keeps people out, from the npm registry into target/.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly AXE_VERSION=4.14.1
readonly AXE_DIR=$ROOT/target/axe-core

ensure_packages() {
  local absent=()
  have chromedriver || absent+=(chromium chromium-driver)
  have npm || absent+=(npm)
  [ ${#absent[@]} -gt 0 ] || return 0
  say "missing: ${absent[*]}"
  have apt-get || die "install Chromium (or Chrome), ChromeDriver and npm, and run this again"
  "$ROOT/scripts/apt-install.sh" "${absent[@]}"
}

ensure_axe() {
  local package=$AXE_DIR/node_modules/axe-core/package.json
  ! grep -qsF "\"version\": \"$AXE_VERSION\"" "$package" || return 0
  say "axe-core $AXE_VERSION from the npm registry"
  mkdir -p "$AXE_DIR"
  # No script of the package runs: it is one file of JavaScript for the browser.
  npm install --prefix "$AXE_DIR" --no-save --no-audit --no-fund --ignore-scripts --silent "axe-core@$AXE_VERSION" >&2
}

ensure_packages
ensure_axe
