#!/usr/bin/env bash
# The private servers that tests use, under .data/test: fast rather than durable, and empty when they start.
#   servers.sh up     starts them unless they run
#   servers.sh env    prints the variables that tests read, as lines for a shell
#   servers.sh down   stops them and forgets their data
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder=$ROOT/.data/test

up() {
  if running "$folder/rabbitmq/pid" "$folder" && running "$folder/redis/pid" redis; then
    say "the test servers run already"
    return
  fi
  down # whatever a killed run left
  # Checkouts tested side by side start looking for ports at different places.
  local spread=$((RANDOM % 300 * 3))
  "$ROOT/scripts/redis.sh" up "$folder" $((17000 + spread)) no
  "$ROOT/scripts/rabbitmq.sh" up "$folder" $((18000 + spread))
}

down() {
  [ -d "$folder" ] || return 0
  "$ROOT/scripts/rabbitmq.sh" down "$folder"
  "$ROOT/scripts/redis.sh" down "$folder"
  rm -rf "$folder"
}

case ${1:-} in
  up) up ;;
  env)
    echo "export ETL_TEST_AMQP_URL=$("$ROOT/scripts/rabbitmq.sh" url "$folder")"
    echo "export ETL_TEST_REDIS_URL=$("$ROOT/scripts/redis.sh" url "$folder")"
    ;;
  down) down ;;
  *) die "servers.sh: up, env or down, not '${1:-}'" ;;
esac
