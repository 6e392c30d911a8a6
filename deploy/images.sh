#!/usr/bin/env bash
# Builds the three images, and gives those of two processors their common names.
#
#   deploy/images.sh build      for this machine's processor; with PUSH=1 into the registry that IMAGES names
#   deploy/images.sh publish    what was pushed for amd64 and arm64, under each name of the commit
#
# IMAGES is what the names begin with, such as ghcr.io/owner/repository. GITHUB_REF_TYPE and GITHUB_REF_NAME, which
# GitHub sets, say what the commit is called: v1.2.3 gives 1.2.3, and 1.2 and latest where it is the newest of those;
# v1.2.3-rc1 only 1.2.3-rc1; main gives main, where main is still that commit. Older ones take no name from newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "$1" >&2; exit 1; }

# To the steps after this one, or to who looks on.
say() { echo "$1" >>"${GITHUB_OUTPUT:-/dev/stdout}"; }

# GitHub's names may have capitals, those of images may not.
IMAGES=$(tr '[:upper:]' '[:lower:]' <<<"${IMAGES:-iris-ml}")
REVISION=${GITHUB_SHA:-$(git rev-parse HEAD)}
SOURCE=${GITHUB_REPOSITORY:+${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY}
# A push to main and the tag of the same commit are built at once, each for itself.
BUILD=sha-$REVISION${GITHUB_RUN_ID:+-$GITHUB_RUN_ID}
export IMAGES REVISION SOURCE

processor() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) fail "Images are built on amd64 and arm64, not on $(uname -m)." ;;
  esac
}

is_newest_version() { # v1.2.3, of all whose tags begin with v and what comes then
  local newest
  newest=$({ git tag --list "v$2*" | grep -xE 'v[0-9]+\.[0-9]+\.[0-9]+' || true; echo "$1"; } | sort -V | tail -1)
  [ "$1" = "$newest" ]
}

is_head() { # of the branch, as far as this clone knows
  local head
  head=$(git rev-parse --verify --quiet "refs/remotes/origin/$1") || return 0
  [ "$head" = "$REVISION" ]
}

names() {
  local name=${GITHUB_REF_NAME:-}
  printf '%s\n' "$BUILD" "sha-$REVISION" | uniq
  if [ "${GITHUB_REF_TYPE:-branch}" = branch ]; then
    ! is_head "$name" || echo "${name//[^a-zA-Z0-9._-]/-}"
  elif [[ $name =~ ^v([0-9]+\.[0-9]+\.)[0-9]+$ ]]; then
    echo "${name#v}"
    ! is_newest_version "$name" "${BASH_REMATCH[1]}" || echo "${BASH_REMATCH[1]%.}"
    ! is_newest_version "$name" "" || echo latest
  elif [[ $name =~ ^v[0-9]+\.[0-9]+\.[0-9]+-[0-9A-Za-z.]+$ ]]; then
    echo "${name#v}"
  else
    fail "A version's tag is like v1.2.3 or v1.2.3-rc1, not $name."
  fi
}

build() {
  export TAG=latest
  if [ -n "${PUSH:-}" ]; then
    TAG=$BUILD-$(processor)
    CACHE=cache-$(processor)
    export CACHE
  fi
  docker buildx bake --file deploy/images.hcl
  try
}

# What was built starts on this processor: all that it imports is there.
try() {
  local service modules
  for service in backend frontend mlflow; do
    case $service in
      backend) modules="main, opentelemetry.sdk" ;;
      frontend) modules="streamlit, client" ;;
      mlflow) modules="metrics, mlflow.server" ;;
    esac
    docker run --rm --entrypoint python3 "$IMAGES/$service:$TAG" -c "import $modules" ||
      fail "The image of $service does not start; see above."
  done
}

refuse_other_commit() { # an image; a version is given to one commit and no other
  local there
  there=$(docker buildx imagetools inspect "$1" --format '{{json .Image}}' 2>/dev/null) || return 0
  [[ $there == *"$REVISION"* ]] || fail "$1 is there already, of another commit. Make the next version."
}

publish() {
  local service name names digest tags newest=no
  names=$(names)
  for service in backend frontend mlflow; do
    [ "${GITHUB_REF_TYPE:-branch}" = branch ] || refuse_other_commit "$IMAGES/$service:${GITHUB_REF_NAME#v}"
  done
  for service in backend frontend mlflow; do
    tags=()
    for name in $names; do tags+=(--tag "$IMAGES/$service:$name"); done
    docker buildx imagetools create "${tags[@]}" "$IMAGES/$service:$BUILD-amd64" "$IMAGES/$service:$BUILD-arm64"
    # As JSON, since some versions print the whole of what a format begins with without it.
    digest=$(docker buildx imagetools inspect "$IMAGES/$service:$BUILD" --format '{{json .Manifest.Digest}}')
    say "$service=${digest//\"/}"
  done
  say "names=$IMAGES"
  # Whether it is what is to run where one follows it.
  ! grep -qxE 'main|latest' <<<"$names" || newest=yes
  say "newest=$newest"
}

case ${1:-} in
  build | publish | names) "$1" ;;
  *) fail "deploy/images.sh knows build, publish and names, not ${1:-nothing}." ;;
esac
