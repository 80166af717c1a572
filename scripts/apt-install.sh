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

# What the packages just installed would start at the next boot. Units that were there before are not ours to disable.
disable_services() {
  have systemctl || return 0
  local unit
  for unit in $(new_units); do
    as_root systemctl disable --quiet "$unit" 2>/dev/null || true
  done
}

list_units() { find /lib/systemd/system /usr/lib/systemd/system -name '*.service' -o -name '*.socket' 2>/dev/null | sort -u; }
new_units() { comm -13 <(echo "$units_before") <(list_units) | sed 's|.*/||' | grep -E '^(redis|rabbitmq|epmd)' || true; }

units_before=$(list_units)
say "installing with apt-get${as_root:+ (sudo may ask for your password)}: $*"
trap restore_policy EXIT
trap 'exit 130' INT TERM HUP
forbid_starting
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
disable_services
