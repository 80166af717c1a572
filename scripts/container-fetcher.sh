#!/usr/bin/env bash
# Starts the fetcher in the compose stack: on GITHUB_API_URL where it is set, else on the simulator where its profile is
# among COMPOSE_PROFILES or where it runs (it is healthy before this starts), else on GitHub itself. Docker restarts containers
# in any order: for a simulated stack that outlives a reboot, choose the profile by COMPOSE_PROFILES in .env.
set -euo pipefail

is_simulated() {
  case ,${COMPOSE_PROFILES:-}, in *,simulator,*) return 0 ;; esac
  getent hosts simulator >/dev/null
}

if [ -z "${GITHUB_API_URL:-}" ] && is_simulated; then
  export GITHUB_API_URL=http://simulator:8008
  echo "fetching from the simulator at $GITHUB_API_URL" >&2
fi
exec fetcher "$@"
