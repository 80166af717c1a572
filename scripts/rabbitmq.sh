#!/usr/bin/env bash
# A private RabbitMQ node on ports of its own, with its own Erlang port mapper (epmd) and cookie, all on 127.0.0.1.
#   rabbitmq.sh up FOLDER PORT   starts it unless it runs, on PORT and the two after it, or the next three free ones
#   rabbitmq.sh url FOLDER       prints its URL
#   rabbitmq.sh down FOLDER      stops it
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)/rabbitmq
node_pidfile=$folder/pid # written by RabbitMQ: the Erlang machine itself, not the shell that starts it
launcher_pidfile=$folder/launcher.pid
epmd_pidfile=$folder/epmd.pid
log=$folder/log/console.log
port=$(cat "$folder/port" 2>/dev/null || true)

up() {
  if running "$node_pidfile" "$folder" && answers "$port"; then
    say "RabbitMQ runs already on 127.0.0.1:$port"
    return
  fi
  down # half of an earlier start may be left
  port=$(free_ports "$1")
  mkdir -p "$folder/data" "$folder/log" "$folder/home" "$folder/conf.d"
  echo "$port" >"$folder/port"
  say "starting RabbitMQ on 127.0.0.1:$port (data in ${folder#"$ROOT"/}); this takes some seconds"
  configure
  start_epmd
  start_node
  wait_until_ready
}

# Three ports in a row: AMQP, Erlang distribution, epmd.
free_ports() {
  local port=$1 last=$(($1 + 600))
  while answers "$port" || answers $((port + 1)) || answers $((port + 2)); do
    port=$((port + 3))
    [ "$port" -lt "$last" ] || die "no three free ports in a row from $1 to $last"
  done
  echo "$port"
}

configure() {
  # The write-ahead log may grow to 512 MB before it is rolled over; a machine for trying things out has better uses.
  cat >"$folder/rabbitmq.conf" <<CONF
listeners.tcp.default = 127.0.0.1:$port
heartbeat = 10
raft.wal_max_size_bytes = 67108864
CONF
  echo '[].' >"$folder/enabled_plugins"
}

# Our own epmd, started before the node, which would otherwise leave one behind that no pid file names.
start_epmd() {
  local epmd
  epmd=$(find_epmd)
  launch "$epmd_pidfile" "$log" "$log" "$epmd" -address 127.0.0.1 -port $((port + 2))
}

find_epmd() {
  local erl candidate
  erl=$(command -v erl) || die "no Erlang (erl) found; it comes with RabbitMQ"
  for candidate in "$(command -v epmd)" "$(dirname "$(realpath "$erl")")"/epmd; do
    if [ -x "$candidate" ]; then echo "$candidate" && return; fi
  done
  erl -boot start_clean -noshell \
    -eval 'io:format("~s/erts-~s/bin/epmd", [code:root_dir(), erlang:system_info(version)]), halt().'
}

# Every path that the start scripts would take from /etc or /var is set, so that nothing of an installed node is read or
# written. Distribution is bound to 127.0.0.1 too. `-etl_folder` means nothing to Erlang: it marks the process as ours.
start_node() {
  local server
  server=$(find_server)
  rm -f "$node_pidfile"
  launch "$launcher_pidfile" "$log" "$log" env \
    HOME="$folder/home" \
    LC_ALL=C.UTF-8 \
    ERL_EPMD_ADDRESS=127.0.0.1 \
    ERL_EPMD_PORT=$((port + 2)) \
    RABBITMQ_NODENAME=etl@localhost \
    RABBITMQ_NODE_PORT="$port" \
    RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
    RABBITMQ_DIST_PORT=$((port + 1)) \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} -etl_folder $folder" \
    RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_CONFIG_FILE="$folder/rabbitmq" \
    RABBITMQ_CONFIG_FILES="$folder/conf.d" \
    RABBITMQ_ADVANCED_CONFIG_FILE="$folder/advanced.config" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$folder/enabled_plugins" \
    RABBITMQ_MNESIA_BASE="$folder/data" \
    RABBITMQ_LOG_BASE="$folder/log" \
    RABBITMQ_PID_FILE="$node_pidfile" \
    "$server"
}

# The start script itself, not the wrapper that Debian puts on the PATH: that one wants to become the user rabbitmq.
find_server() {
  local candidate
  for candidate in \
    /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server \
    /usr/lib/rabbitmq/bin/rabbitmq-server \
    /opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server \
    /usr/local/opt/rabbitmq/sbin/rabbitmq-server \
    /home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin/rabbitmq-server \
    "$(command -v rabbitmq-server)"; do
    if [ -x "$candidate" ]; then echo "$candidate" && return; fi
  done
  die "no rabbitmq-server found: run scripts/ensure-servers.sh"
}

# RabbitMQ opens its AMQP port last, when it is ready.
wait_until_ready() {
  local tenths=1200
  until answers "$port" && running "$node_pidfile" "$folder"; do
    tenths=$((tenths - 1))
    if [ "$tenths" -le 0 ] || ! alive "$(cat "$launcher_pidfile")"; then
      tail -n 15 "$log" >&2
      down
      die "RabbitMQ did not start; its logs are in $folder/log"
    fi
    sleep 0.1
  done
}

down() {
  if running "$node_pidfile" "$folder"; then say "stopping RabbitMQ on 127.0.0.1:$port"; fi
  stop "$node_pidfile" "$folder" 60
  # Still there only when the node was stopped before it wrote its own pid.
  stop "$launcher_pidfile" rabbitmq-server 10
  stop "$epmd_pidfile" epmd 5
}

case $command in
  up) up "$3" ;;
  url) echo "amqp://guest:guest@127.0.0.1:$port/%2f" ;;
  down) down ;;
  *) die "rabbitmq.sh: up, url or down, not '$command'" ;;
esac
