#!/usr/bin/env bash
# Builds the three images, and gives those of two processors their common names.
#
#   deploy/images.sh build      for this machine's processor; with PUSH=1 into the registry that IMAGES names
#   deploy/images.sh publish    what was pushed for amd64 and arm64, under each name of the commit
#
# IMAGES is what the names begin with, such as ghcr.io/owner/repository. GITHUB_REF_TYPE and GITHUB_REF_NAME, which
# GitHub sets, say what the commit is called: v1.2.3 gives 1.2.3, 1.2 and latest; v1.2.3-rc1 only 1.2.3-rc1.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "$1" >&2; exit 1; }

# To the steps after this one, or to who looks on.
say() { echo "$1" >>"${GITHUB_OUTPUT:-/dev/stdout}"; }

# GitHub's names may have capitals, those of images may not.
IMAGES=$(tr '[:upper:]' '[:lower:]' <<<"${IMAGES:-iris-ml}")
REVISION=${GITHUB_SHA:-$(git rev-parse HEAD)}
SOURCE=${GITHUB_REPOSITORY:+${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY}
export IMAGES REVISION SOURCE

processor() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) fail "Images are built on amd64 and arm64, not on $(uname -m)." ;;
  esac
}

names() {
  local version=${GITHUB_REF_NAME:-}
  echo "sha-$REVISION"
  if [ "${GITHUB_REF_TYPE:-branch}" = branch ]; then
    echo "${version//[^a-zA-Z0-9._-]/-}"
  elif [[ $version =~ ^v([0-9]+\.[0-9]+)\.[0-9]+$ ]]; then
    printf '%s\n' "${version#v}" "${BASH_REMATCH[1]}" latest
  else
    echo "${version#v}"
  fi
}

build() {
  if [ -n "${PUSH:-}" ]; then
    TAG=sha-$REVISION-$(processor)
    CACHE=cache-$(processor)
    export TAG CACHE
  fi
  docker buildx bake --file deploy/images.hcl
}

publish() {
  local service name digest tags
  say "names=$IMAGES"
  for service in backend frontend mlflow; do
    tags=()
    for name in $(names); do tags+=(--tag "$IMAGES/$service:$name"); done
    docker buildx imagetools create "${tags[@]}" \
      "$IMAGES/$service:sha-$REVISION-amd64" "$IMAGES/$service:sha-$REVISION-arm64"
    # As JSON, since some versions print the whole of what a format begins with without it.
    digest=$(docker buildx imagetools inspect "$IMAGES/$service:sha-$REVISION" --format '{{json .Manifest.Digest}}')
    say "$service=${digest//\"/}"
  done
}

case ${1:-} in
  build | publish | names) "$1" ;;
  *) fail "deploy/images.sh knows build, publish and names, not ${1:-nothing}." ;;
esac
