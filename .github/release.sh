#!/usr/bin/env bash
# Makes the GitHub release of a version's tag, with its section of CHANGELOG.md as text.
#
#   .github/release.sh notes v1.2.3     prints the text
#   .github/release.sh publish v1.2.3   makes the release, or gives the one that is there this text
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "$1" >&2; exit 1; }

# What stands below "## 1.2.3", which a date may follow, up to the next heading of that kind.
notes() {
  local text
  text=$(awk -v version="${1#v}" '
    /^## / { ours = $2 == version; next }
    ours
  ' "${CHANGELOG:-CHANGELOG.md}")
  [[ $text == *[^[:space:]]* ]] ||
    fail "CHANGELOG.md says nothing of ${1#v}. Call its section Unreleased \"## ${1#v}\", commit that and tag it again."
  sed '/./,$!d' <<<"$text"
}

# A candidate, v1.2.3-rc1, is of the version that it is for.
require_version() {
  local said wanted=${1#v}
  said=$(sed -n 's/^version = "\(.*\)"$/\1/p' "${PYPROJECT:-pyproject.toml}")
  [ "$said" = "${wanted%%-*}" ] ||
    fail "pyproject.toml says version $said. Set it to ${wanted%%-*}, and tag it again."
}

publish() {
  local text
  text=$(notes "$1")
  if gh release view "$1" >/dev/null 2>&1; then
    gh release edit "$1" --notes-file - <<<"$text"
  elif [[ $1 == *-* ]]; then
    gh release create "$1" --verify-tag --title "$1" --notes-file - --prerelease <<<"$text"
  else
    gh release create "$1" --verify-tag --title "$1" --notes-file - <<<"$text"
  fi
}

[[ ${2:-} =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  fail "A release is a tag like v1.2.3 or v1.2.3-rc1, not ${2:-nothing}."
case $1 in
  notes | publish) require_version "$2" && "$1" "$2" ;;
  *) fail ".github/release.sh knows notes and publish, not $1." ;;
esac
