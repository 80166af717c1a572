# shellcheck shell=bash
# What every script here shares; sourced, never run. Bash 3.2 (macOS) is enough for all of them.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Read by the scripts that source this file.
# shellcheck disable=SC2034
readonly ROOT

say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# step NAME COMMAND…: says what runs and how long it took.
step() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  say "$name: $((SECONDS - start)) s"
}

# answers PORT: something accepts connections there.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port FROM: the first port from FROM on where nobody answers.
free_port() {
  local port=$1 last=$(($1 + 200))
  while answers "$port"; do
    port=$((port + 1))
    [ "$port" -lt "$last" ] || die "no free port from $1 to $last"
  done
  echo "$port"
}

# alive PID: it runs. A zombie does not: in a container without an init nobody collects it.
alive() {
  kill -0 "$1" 2>/dev/null || return 1
  ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

# running PIDFILE WORD: the pid in PIDFILE runs and its command line holds WORD, so that a stale file never points at a
# stranger that was given the same number.
running() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && alive "$pid" || return 1
  if [ -r "/proc/$pid/cmdline" ]; then
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$2"
  else
    ps -p "$pid" -o args= | grep -qF -- "$2"
  fi
}

# launch PIDFILE STDOUT STDERR COMMAND…: in the background and in a process group of its own, so that Ctrl-C at the
# terminal reaches only the script, which then stops things in the right order.
launch() {
  local pidfile=$1 stdout=$2 stderr=$3
  shift 3
  set -m
  "$@" </dev/null >>"$stdout" 2>>"$stderr" &
  echo $! >"$pidfile"
  set +m
}

# stop_pid PID SECONDS: asks it to end, and kills it when it takes longer.
stop_pid() {
  local tenths=$(($2 * 10))
  kill -TERM "$1" 2>/dev/null || return 0
  while alive "$1"; do
    tenths=$((tenths - 1))
    if [ "$tenths" -le 0 ]; then
      kill -KILL "$1" 2>/dev/null || true
      return 0
    fi
    sleep 0.1 || true # a Ctrl-C that ends it is no reason to stop half-way
  done
}

# stop PIDFILE WORD SECONDS: the same for what a pid file names; forgets the file.
stop() {
  if running "$1" "$2"; then stop_pid "$(cat "$1")" "$3"; fi
  rm -f "$1"
}

# start_test_servers: the test servers, and their URLs in the environment.
start_test_servers() {
  "$ROOT/scripts/servers.sh" up
  eval "$("$ROOT/scripts/servers.sh" env)"
}

# stop_test_servers_at_exit: however the script ends. `make servers` may have started them before: then they stay.
stop_test_servers_at_exit() {
  if ! running "$ROOT/.data/test/rabbitmq/pid" "$ROOT/.data/test"; then trap stop_test_servers EXIT; fi
  trap 'exit 130' INT TERM HUP
}

stop_test_servers() {
  trap '' INT TERM HUP
  "$ROOT/scripts/servers.sh" down
}
