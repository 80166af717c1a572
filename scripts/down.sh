#!/usr/bin/env bash
# Stops whatever runs of this checkout: the pipeline, its simulator, its servers and the test servers.
#   down.sh           all of it
#   down.sh servers   the simulator and the pipeline's servers only (run.sh stops the rest itself)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder=$ROOT/.data
[ -d "$folder" ] || exit 0

if [ "${1:-}" != servers ]; then
  # It stops everything in order, so it gets the time that takes. What follows is for when it died without doing so.
  stop "$folder/run.pid" run.sh 90
  stop "$folder/standalone.pid" standalone 15
fi
stop "$folder/simulator.pid" simulator 5
if [ -d "$folder/rabbitmq" ]; then "$ROOT/scripts/rabbitmq.sh" down "$folder"; fi
if [ -d "$folder/redis" ]; then "$ROOT/scripts/redis.sh" down "$folder"; fi
if [ "${1:-}" != servers ]; then "$ROOT/scripts/servers.sh" down; fi
