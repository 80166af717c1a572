#!/usr/bin/env bash
# A private Redis on a port of its own.
#   redis.sh up FOLDER PORT FSYNC   starts it unless it runs; PORT or the next free one; FSYNC: always, everysec or no
#   redis.sh url FOLDER             prints its URL
#   redis.sh down FOLDER            stops it
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)/redis
pidfile=$folder/pid
port=$(cat "$folder/port" 2>/dev/null || true)

server() {
  if have redis-server; then echo redis-server; else echo valkey-server; fi
}

up() {
  if running "$pidfile" ":$port" && answers "$port"; then
    say "Redis runs already on 127.0.0.1:$port"
    return
  fi
  port=$(free_port "$1")
  mkdir -p "$folder/data"
  echo "$port" >"$folder/port"
  say "starting Redis on 127.0.0.1:$port (data in ${folder#"$ROOT"/})"
  # noeviction: an evicted mark would let an event count twice. The append-only file is the durability; snapshots (save)
  # would only write the same data again.
  launch "$pidfile" "$folder/log" "$folder/log" "$(server)" --port "$port" --bind 127.0.0.1 --dir "$folder/data" \
    --appendonly yes --appendfsync "$2" --save '' --maxmemory-policy noeviction
  wait_until_ready
}

wait_until_ready() {
  local pid tenths=300
  pid=$(cat "$pidfile")
  # A large append-only file takes a while to load; until then PING answers LOADING.
  until [ "$(ping)" = +PONG ]; do
    tenths=$((tenths - 1))
    if [ "$tenths" -le 0 ] || ! alive "$pid"; then
      tail -n 5 "$folder/log" >&2
      die "Redis did not start; its log is $folder/log"
    fi
    sleep 0.1
  done
}

# PING without redis-cli, which may be a package of its own.
ping() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$port" || exit
    printf 'PING\r\n' >&3
    read -r -t 2 answer <&3
    printf '%s' "${answer%$'\r'}"
  ) 2>/dev/null || true
}

case $command in
  up) up "$3" "$4" ;;
  url) echo "redis://127.0.0.1:$port/" ;;
  down)
    if running "$pidfile" ":$port"; then say "stopping Redis on 127.0.0.1:$port"; fi
    stop "$pidfile" ":$port" 30
    ;;
  *) die "redis.sh: up, url or down, not '$command'" ;;
esac
