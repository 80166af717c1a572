#!/usr/bin/env bash
# Puts the release binaries and the systemd units in place, or removes them.
#   PREFIX=/usr/local DESTDIR= UNITDIR=PREFIX/lib/systemd/system install.sh install|uninstall
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

readonly PREFIX=${PREFIX:-/usr/local}
readonly DESTDIR=${DESTDIR:-}
readonly UNITDIR=${UNITDIR:-$PREFIX/lib/systemd/system}
# Where the binaries come from. Another folder is for scripts/check-systemd.sh.
readonly BUILT=${BUILT:-target/release}
# The simulator is for demos and tests.
readonly PROGRAMS="dashboard fetcher loader replay standalone"

install_all() {
  local program unit
  for program in $PROGRAMS; do [ -x "$BUILT/$program" ] || die "$BUILT/$program is missing: run make build first"; done
  install -d "$DESTDIR$PREFIX/bin" "$DESTDIR$UNITDIR"
  for program in $PROGRAMS; do install -m 755 "$BUILT/$program" "$DESTDIR$PREFIX/bin/$program"; done
  for unit in deploy/systemd/*.service; do
    sed "s|/usr/local/bin/|$PREFIX/bin/|" "$unit" >"$DESTDIR$UNITDIR/${unit##*/}"
    chmod 644 "$DESTDIR$UNITDIR/${unit##*/}"
  done
  say "programs are in $DESTDIR$PREFIX/bin, units in $DESTDIR$UNITDIR; docs/OPERATIONS.md, systemd, has the next steps"
}

uninstall_all() {
  local program unit
  for program in $PROGRAMS; do rm -f "$DESTDIR$PREFIX/bin/$program"; done
  for unit in deploy/systemd/*.service; do rm -f "$DESTDIR$UNITDIR/${unit##*/}"; done
  say "removed from $DESTDIR$PREFIX/bin and $DESTDIR$UNITDIR; settings in /etc/github-event-etl stay"
}

case ${1:-} in
  install) install_all ;;
  uninstall) uninstall_all ;;
  *) die "usage: install.sh install|uninstall" ;;
esac
