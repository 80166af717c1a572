#!/usr/bin/env bash
# Starts the fetcher in the compose stack: on GITHUB_API_URL where it is set, else on the simulator where it runs (the
# profile `simulator`, whose simulator is healthy before this starts), else on GitHub itself. Docker restarts containers in any
# order: for a simulated stack that outlives a reboot, choose the profile by COMPOSE_PROFILES in .env, which fixes the address.
set -euo pipefail

if [ -z "${GITHUB_API_URL:-}" ] && getent hosts simulator >/dev/null; then
  export GITHUB_API_URL=http://simulator:8008
  echo "fetching from the simulator at $GITHUB_API_URL" >&2
fi
exec fetcher "$@"
