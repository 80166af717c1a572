#!/usr/bin/env bash
# The benchmark (benches/): builds it and the programs, then runs it. Arguments are those of target/release/bench.
# KEEP=1 also puts the chart and the table of the micro-benchmarks where the repository keeps them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

# keep FILE PLACE: only if this run has made it.
keep() { if [ "target/bench/$1" -nt target/bench/started ]; then cp "target/bench/$1" "$2" && say "kept in $2"; fi; }

scripts/ensure-tools.sh build
scripts/ensure-servers.sh
[ -d /proc/self ] || die "the benchmark reads CPU time and memory from /proc: run it on Linux"
# Together, so that the packages are built once.
cargo build --release --locked --package github-event-etl --package github-event-etl-bench --bins
mkdir -p target/bench
touch target/bench/started
target/release/bench "$@"
if [ -n "${KEEP:-}" ]; then
  keep chart.svg docs/bench.svg
  keep micro.md benches/MICRO.md
fi
