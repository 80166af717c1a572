#!/usr/bin/env bash
# Shows that scripts/check-kubernetes.sh fails for broken manifests: breaks a copy in one place at a time. Takes a minute; run it after a
# change of the check.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

readonly COPY=target/kubernetes/mutant
missed=0

# mutant NAME FILE SED WORD: with SED applied to FILE, the check must fail and its output hold WORD.
mutant() {
  local name=$1 file=$2 edit=$3 word=$4 output
  rm -rf "$COPY" && cp -R deploy/kubernetes "$COPY"
  sed -i.before "$edit" "$COPY/$file"
  ! cmp -s "$COPY/$file" "$COPY/$file.before" || die "$name: the edit changes nothing in $file"
  rm "$COPY/$file.before"
  if output=$(scripts/check-kubernetes.sh "$COPY" 2>&1); then
    missed=$((missed + 1)) && warn "$name: not noticed"
  elif ! grep -qF -- "$word" <<<"$output"; then
    missed=$((missed + 1)) && warn "$name: it failed for another reason: $output"
  else
    say "$name: noticed ($(grep -F -- "$word" <<<"$output" | head -1 | cut -c1-110))"
  fi
}

mutant "unknown field" base/loader.yaml 's/terminationGracePeriodSeconds/terminationGraceSeconds/' terminationGraceSeconds
mutant "number for a string" base/loader.yaml 's/REDIS_URL_FILE, value: .* }/REDIS_URL_FILE, value: 5 }/' "is not of type"
mutant "no liveness probe" base/fetcher.yaml '/livenessProbe/,/failureThreshold/d' CKV_K8S_8
mutant "no readiness probe" base/gaps.yaml '/readinessProbe/,/timeoutSeconds/d' CKV_K8S_9
mutant "privilege escalation" base/dashboard.yaml '/allowPrivilegeEscalation/d' CKV_K8S_20
mutant "writable root" base/loader.yaml '/readOnlyRootFilesystem/d' CKV_K8S_22
mutant "capabilities" base/loader.yaml '/capabilities/d' CKV_K8S_37
mutant "root" base/gaps.yaml '/runAsNonRoot/d; /runAsUser/d' CKV_K8S_23
mutant "no seccomp profile" base/fetcher.yaml '/seccompProfile/d' CKV_K8S_31
mutant "a service account's token" base/fetcher.yaml '/automountServiceAccountToken/d' CKV_K8S_38
mutant "no memory limit" base/loader.yaml 's/, memory: 256Mi } # one/ } # one/' CKV_K8S_13
mutant "no network policy" base/kustomization.yaml '/network.yaml/d' CKV2_K8S_6
mutant "a file that is not there" base/kustomization.yaml 's/loader.yaml/loaders.yaml/' loaders.yaml
mutant "KEDA: unknown field" components/keda/scaled-object.yaml 's/minReplicaCount/minReplicas/' minReplicas
mutant "KEDA: number for a string" components/keda/scaled-object.yaml 's/value: "100000"/value: 100000/' "not assignable"
mutant "KEDA: fallback without a threshold" components/keda/scaled-object.yaml 's/failureThreshold: 3, //' failureThreshold
rm -rf "$COPY"
[ "$missed" -eq 0 ] || die "$missed mutants were not noticed"
say "every mutant was noticed"
