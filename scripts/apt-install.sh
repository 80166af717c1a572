#!/usr/bin/env bash
# Installs Debian packages without letting their services start, now or at the next boot: this project runs private
# servers, and ones on the default ports might meet others.
#   apt-install.sh PACKAGE…
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  have sudo || die "installing $* needs root: run 'apt-get install $*' as root, then this again"
  as_root=(sudo)
fi

# Debian asks this file before a package starts a service; 101 means no.
policy=/usr/sbin/policy-rc.d
policy_is_ours=

forbid_starting() {
  # One that is there already belongs to somebody (container images bring it, also saying no): it stays as it is.
  [ ! -e "$policy" ] || return 0
  policy_is_ours=1
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

restore_policy() {
  [ -z "$policy_is_ours" ] || as_root rm -f "$policy"
}

as_root() { ${as_root[@]+"${as_root[@]}"} "$@"; }

# What the packages just installed would start at the next boot.
disable_services() {
  local package
  for package; do
    if [ -e "/etc/init.d/$package" ]; then as_root update-rc.d "$package" disable >/dev/null; fi
  done
  # Erlang's port mapper comes along with RabbitMQ and is started by systemd only.
  if [ -z "$had_epmd" ] && have epmd && have systemctl; then
    as_root systemctl disable --quiet epmd.socket epmd.service 2>/dev/null || true
  fi
}

had_epmd=$(command -v epmd || true)
say "installing with apt-get${as_root:+ (sudo may ask for your password)}: $*"
trap restore_policy EXIT
trap 'exit 130' INT TERM HUP
forbid_starting
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
disable_services "$@"
