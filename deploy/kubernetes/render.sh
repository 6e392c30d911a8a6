#!/bin/sh
# Prints what `kubectl apply -k` would apply of a folder here, with Debian's kubectl where there is none.
set -eu
if ! command -v kubectl >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "Install kubectl: https://kubernetes.io/docs/tasks/tools/" >&2
    exit 1
  fi
  root=""
  if [ "$(id -u)" != 0 ]; then root=sudo; fi
  $root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
  $root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends kubernetes-client >&2
fi
said=$(mktemp)
trap 'rm -f "$said"' EXIT
# What newer ones say of the names of our fields is nothing new; base/kustomization.yaml has the reason.
if ! kubectl kustomize "$(dirname "$0")/$1" 2>"$said"; then
  cat "$said" >&2
  exit 1
fi
