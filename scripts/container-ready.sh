#!/usr/bin/env bash
# The health check of our containers: asks /readyz at METRICS_LISTEN. The image has bash and no HTTP client.
set -euo pipefail

exec 3<>"/dev/tcp/127.0.0.1/${METRICS_LISTEN##*:}"
printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
answer=$(timeout 3 cat <&3)
# `docker inspect` shows this, with what the program waits for.
printf '%s\n' "$answer" | tail -n 1
[[ $answer == 'HTTP/1.1 200 '* ]]
