#!/usr/bin/env bash
# Checks the units in deploy/systemd without starting one: installs them below target/ with stand-ins for the programs, lets systemd read
# them, scores their hardening (20 of 100 points of exposure at most), and removes them again. tests/house holds their commands.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

readonly FOLDER=$ROOT/target/systemd
export PREFIX=$FOLDER/prefix BUILT=$FOLDER/built DESTDIR='' UNITDIR=''

stand_ins() {
  local program
  rm -rf "$FOLDER" && mkdir -p "$BUILT"
  for program in dashboard fetcher loader replay standalone; do
    printf '#!/bin/sh\n' >"$BUILT/$program"
    chmod +x "$BUILT/$program"
  done
}

# A warning is an error. systemd-analyze knows the option for that from 250 on.
check_units() { systemd-analyze verify --man=no --recursive-errors=no "$PREFIX"/lib/systemd/system/*.service; }

check_exposure() {
  local unit report
  for unit in "$PREFIX"/lib/systemd/system/*.service; do
    report=$(systemd-analyze security --offline=yes --threshold=20 --no-pager "$unit") || {
      grep -F '✗' <<<"$report" >&2 || true
      die "${unit##*/} is too exposed: $(tail -n 1 <<<"$report")"
    }
  done
}

check_sameness() {
  local unit
  for unit in deploy/systemd/*.service; do sed -n '/^# Hardening/,$p' "$unit" | cksum; done | sort -u | wc -l | grep -qx ' *1' \
    || die "the part from '# Hardening' on differs between the units in deploy/systemd"
}

check_uninstall() {
  local left
  scripts/install.sh uninstall 2>/dev/null
  left=$(find "$PREFIX" -type f)
  [ -z "$left" ] || die "make uninstall leaves $left"
}

check_sameness
stand_ins
scripts/install.sh install 2>/dev/null
if ! have systemd-analyze; then
  say "left out: what systemd says of the units; systemd-analyze is not installed"
elif ! systemd-analyze verify --help 2>/dev/null | grep -q recursive-errors; then
  say "left out: what systemd says of the units; systemd-analyze is older than 250"
else
  check_units
  check_exposure
fi
check_uninstall
