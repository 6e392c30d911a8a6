#!/bin/sh
# Holds all that would be applied against the schemas of two versions of Kubernetes; no cluster is needed.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for it in base overlays/small overlays/production dask files kserve; do
  ./render.sh "$it" >"$folder/$(basename "$it").yaml"
done
# It only warns of a kind that it does not know, which may be a misspelt one.
said=$(kubernetes-validate --strict --quiet -k 1.36.0 -k 1.37.0 "$folder"/*.yaml || true)
# KServe's own kind is not Kubernetes': tests/test_kubernetes.py looks at that one.
said=$(printf '%s\n' "$said" | grep -v 'schema for kind InferenceService ' || true)
if [ -n "$said" ]; then
  printf '%s\n' "$said" >&2
  exit 1
fi
