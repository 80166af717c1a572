#!/usr/bin/env bash
# Installs the servers that are named and missing; without a name, both.
#   ensure-servers.sh [redis] [rabbitmq]
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing() {
  case $1 in
    redis) ! have redis-server && ! have valkey-server ;;
    rabbitmq) ! have rabbitmq-server && ! compgen -G '/usr/lib/rabbitmq/lib/rabbitmq_server-*' >/dev/null ;;
    *) die "ensure-servers.sh: redis or rabbitmq, not '$1'" ;;
  esac
}

[ $# -gt 0 ] || set -- redis rabbitmq
absent=()
for server; do
  if missing "$server"; then absent+=("$server"); fi
done
[ ${#absent[@]} -gt 0 ] || exit 0

say "missing: ${absent[*]}"
if have apt-get; then
  "$ROOT/scripts/apt-install.sh" "${absent[@]/%/-server}"
elif have brew; then
  say "installing with Homebrew: ${absent[*]}"
  brew install "${absent[@]}" >&2
else
  die "install ${absent[*]} (redis-server 7.0 or later, rabbitmq-server 3.10 or later) and run this again," \
    "or use servers of your own: make run AMQP_URL=amqp://… REDIS_URL=redis://…"
fi
