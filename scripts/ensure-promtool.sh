#!/usr/bin/env bash
# Installs promtool, which checks our alert rules and metrics, where it is missing. It comes with Prometheus, which is not started.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

! have promtool || exit 0
say "missing: promtool"
if have apt-get; then
  "$ROOT/scripts/apt-install.sh" prometheus
elif have brew; then
  brew install prometheus >&2
else
  die "install promtool (https://prometheus.io/download/), then run this again"
fi
