#!/usr/bin/env bash
# Checks the manifests in deploy/kubernetes (or in the folder given) without a cluster: kustomize renders them, kubernetes-validate and
# checkov read the result, and KEDA's own types and schemas its objects. The tools are installed into target/kubernetes. A check whose
# tool cannot be had is left out by name. Not checked: RabbitmqCluster, whose schema is in no package registry, and Helm values.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

readonly MANIFESTS=${1:-deploy/kubernetes}
readonly TOOLS=target/kubernetes
# Runs side by side do not disturb each other.
readonly RENDERED=$TOOLS/rendered.$$
readonly KEDA_PROGRAM=$TOOLS/keda/check.$$
readonly CHECK=deploy/kubernetes/check

left_out() { say "left out: $*"; }

# installed FOLDER FILE: FOLDER has the packages that FILE names.
installed() { cmp -s "$2" "$1/installed"; }

ensure_python_packages() {
  local venv=$TOOLS/venv
  ! installed "$venv" "$CHECK/requirements.txt" || return 0
  say "installing checkov and kubernetes-validate into $venv (400 MB)"
  rm -rf "$venv"
  python3 -m venv "$venv" >&2 \
    && "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 --requirement "$CHECK/requirements.txt" >&2 \
    && cp "$CHECK/requirements.txt" "$venv/installed"
}

ensure_node_packages() {
  local folder=$TOOLS/keda
  have npm || return 1
  ! installed "$folder" "$CHECK/package-lock.json" || return 0
  say "installing KEDA's schemas into $folder"
  mkdir -p "$folder"
  cp "$CHECK/package.json" "$CHECK/package-lock.json" "$folder"
  npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts --silent --fetch-retries=1 >&2 \
    && cp "$CHECK/package-lock.json" "$folder/installed"
}

# The command that renders a kustomization. kubectl knows components from 1.21 on; Debian 12 has 1.20.
kustomize_command() {
  if have kustomize; then
    echo "kustomize build"
  elif have kubectl && ! kubectl version --client 2>&1 | grep -qE 'v1\.(1?[0-9]|20)\.'; then
    echo "kubectl kustomize"
  fi
}

# Without kustomize the files are checked as they stand. What the components change in the base is then not seen.
render() {
  local command file overlay
  mkdir -p "$RENDERED"
  cp "$MANIFESTS/examples/rabbitmq.yaml" "$RENDERED/example-rabbitmq.yaml"
  command=$(kustomize_command)
  if [ -n "$command" ]; then
    for overlay in base overlays/demo overlays/production; do
      $command "$MANIFESTS/$overlay" >"$RENDERED/${overlay##*/}.yaml"
    done
  else
    left_out "rendering: kustomize, or kubectl from 1.21 on, is not installed; the files are checked one by one"
    for file in "$MANIFESTS"/base/*.yaml "$MANIFESTS"/components/*/*.yaml; do
      [ "${file##*/}" = kustomization.yaml ] || cp "$file" "$RENDERED/$(basename "$(dirname "$file")")-${file##*/}"
    done
  fi
}

check_fields() { "$TOOLS/venv/bin/kubernetes-validate" --strict --quiet --no-warn "$RENDERED"/*.yaml; }

check_hardening() {
  "$TOOLS/venv/bin/checkov" --directory "$RENDERED" --framework kubernetes --config-file "$CHECK/checkov.yaml" --skip-download \
    --compact --quiet
}

check_keda() {
  "$TOOLS/venv/bin/python" "$CHECK/keda.py" "$RENDERED"/*.yaml >"$KEDA_PROGRAM.mts"
  "$TOOLS/keda/node_modules/.bin/tsc" --strict --skipLibCheck --target es2022 --module nodenext "$KEDA_PROGRAM.mts"
  node "$KEDA_PROGRAM.mjs"
}

clean_up() { rm -rf "$RENDERED" "$KEDA_PROGRAM.mts" "$KEDA_PROGRAM.mjs"; }

mkdir -p "$TOOLS"
trap clean_up EXIT
if ! have python3 || ! ensure_python_packages; then
  left_out "every check of $MANIFESTS: python3 with venv, or its packages, cannot be had"
  exit 0
fi
render
step "fields of $MANIFESTS" check_fields
step "hardening of $MANIFESTS" check_hardening
if ensure_node_packages; then
  step "KEDA objects of $MANIFESTS" check_keda
else
  left_out "KEDA objects: npm, or its packages, cannot be had"
fi
