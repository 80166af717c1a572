#!/usr/bin/env bash
# The whole pipeline at work: private servers, a release build and `standalone --watch`. Ctrl-C stops all of it.
#   run.sh live   reads from GitHub, or from the simulator when GitHub does not answer
#   run.sh demo   reads from the simulator
# The dashboard is at the address it prints: DASHBOARD_LISTEN where set, else the first free port from 8080 on.
# AMQP_URL and REDIS_URL, where set, name servers of yours: then none of that kind is started or stopped.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

mode=$1
folder=$ROOT/.data
bin=${CARGO_TARGET_DIR:-$ROOT/target}/release
standalone_pid=
redis_is_private=
rabbitmq_is_private=
standalone_args=(--watch)

main() {
  if running "$folder/run.pid" run.sh; then
    die "it runs already (process $(cat "$folder/run.pid")): 'make down' stops it"
  fi
  [ -n "${REDIS_URL:-}" ] || redis_is_private=1
  [ -n "${AMQP_URL:-}" ] || rabbitmq_is_private=1
  scripts/ensure-tools.sh build
  ensure_servers
  say "building"
  cargo build --release --locked --bin standalone --bin simulator

  mkdir -p "$folder"
  echo $$ >"$folder/run.pid"
  trap stop_everything EXIT
  trap 'exit 130' INT TERM HUP
  start_servers
  choose_feed
  choose_dashboard
  run_standalone
}

ensure_servers() {
  local needed=()
  if [ -n "$redis_is_private" ]; then needed+=(redis); fi
  if [ -n "$rabbitmq_is_private" ]; then needed+=(rabbitmq); fi
  if [ ${#needed[@]} -gt 0 ]; then scripts/ensure-servers.sh "${needed[@]}"; fi
}

start_servers() {
  if [ -n "$redis_is_private" ]; then
    scripts/redis.sh up "$folder" 16379 always
    REDIS_URL=$(scripts/redis.sh url "$folder")
    # A REDIS_PASSWORD in .env is meant for another Redis. Ours has none and takes any for its default user.
    REDIS_URL=${REDIS_URL/:\/\//:\/\/default:none@}
  fi
  if [ -n "$rabbitmq_is_private" ]; then
    scripts/rabbitmq.sh up "$folder" 16672
    AMQP_URL=$(scripts/rabbitmq.sh url "$folder")
  fi
  export REDIS_URL AMQP_URL
}

choose_feed() {
  if [ "$mode" = demo ]; then
    start_simulator
  elif [ -n "${GITHUB_API_URL:-}" ]; then
    say "reading from $GITHUB_API_URL"
  elif github_answers; then
    say "reading live from GitHub"
  else
    warn "GITHUB DOES NOT ANSWER FROM HERE: what follows comes from the simulator and is made up"
    start_simulator
  fi
}

# Any answer counts, a refusal too: the fetcher knows what to do then. This address costs no request of GitHub's hourly
# limit.
github_answers() {
  say "asking whether GitHub answers"
  if have curl; then
    curl --silent --output /dev/null --max-time 5 https://api.github.com/rate_limit
  else
    timeout 5 bash -c 'exec 3<>/dev/tcp/api.github.com/443' 2>/dev/null
  fi
}

start_simulator() {
  local url_file=$folder/simulator.url log=$folder/simulator.log tenths=100
  rm -f "$url_file"
  # It prints its address, and nothing else, on stdout. --metrics-listen is given because a METRICS_LISTEN in .env is for
  # standalone, and two programs cannot have the same port. GitHub's 60 requests an hour, which the simulator would count
  # too, would leave minutes between polls.
  launch "$folder/simulator.pid" "$url_file" "$log" \
    "$bin/simulator" --listen 127.0.0.1:0 --rate 20 --poll-interval 2 --rate-limit 1000000 \
    --metrics-listen 127.0.0.1:0
  until [ -s "$url_file" ]; do
    tenths=$((tenths - 1))
    if [ "$tenths" -le 0 ] || ! alive "$(cat "$folder/simulator.pid")"; then
      tail -n 5 "$log" >&2
      die "the simulator did not start; its log is $log"
    fi
    sleep 0.1
  done
  say "the simulator stands in for GitHub at $(cat "$url_file")"
  standalone_args+=(--api-url "$(cat "$url_file")")
}

choose_dashboard() {
  if [ -z "${DASHBOARD_LISTEN:-}" ]; then DASHBOARD_LISTEN=127.0.0.1:$(free_port 8080); fi
  export DASHBOARD_LISTEN
}

run_standalone() {
  local code=0
  [ "$DASHBOARD_LISTEN" = off ] || say "the dashboard will be at http://$DASHBOARD_LISTEN/"
  say "running; Ctrl-C stops everything"
  # In a process group of its own: Ctrl-C then reaches it once, from here, and a second Ctrl-C is its second signal.
  set -m
  "$bin/standalone" "${standalone_args[@]}" </dev/null &
  standalone_pid=$!
  set +m
  echo "$standalone_pid" >"$folder/standalone.pid"
  wait "$standalone_pid" || code=$?
  [ "$code" -eq 0 ] || die "standalone ended with exit code $code"
}

# First what uses the servers, then the servers.
stop_everything() {
  local code=$?
  # A second Ctrl-C hurries standalone along, and only that: the servers always get the time to close their files.
  trap 'kill -TERM "$standalone_pid" 2>/dev/null || true' INT TERM HUP
  stop "$folder/standalone.pid" standalone 15
  trap '' INT TERM HUP
  scripts/down.sh servers
  rm -f "$folder/run.pid"
  # Stopped by Ctrl-C is what the user wanted, not a failure.
  [ "$code" -ne 130 ] || exit 0
}

main
