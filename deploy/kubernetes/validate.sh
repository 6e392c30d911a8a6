#!/bin/sh
# Holds all that would be applied against the schemas of two versions of Kubernetes; no cluster is needed.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for it in base overlays/small overlays/production dask files kserve; do
  ./render.sh "$it" >"$folder/$(basename "$it").yaml"
done
# It only warns of a kind that it does not know, which may be a misspelt one. KServe's own is not Kubernetes':
# tests/test_kubernetes.py looks at that one.
said=$(kubernetes-validate --strict -k 1.36.0 -k 1.37.0 "$folder"/*.yaml) || true
wrong=$(printf '%s\n' "$said" | grep -v -e '^INFO .* passed ' -e 'schema for kind InferenceService ' || true)
if [ -n "$wrong" ]; then
  printf '%s\n' "$wrong" >&2
  exit 1
fi
# Whatever ended it has said why.
for it in "$folder"/*.yaml; do
  for version in 1.36 1.37; do
    if ! printf '%s\n' "$said" | grep -q "^INFO $it passed .* version $version$"; then
      echo "kubernetes-validate has not checked $(basename "$it") against $version." >&2
      exit 1
    fi
  done
done
