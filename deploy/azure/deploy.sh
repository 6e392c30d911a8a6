#!/usr/bin/env bash
# Puts published images on Azure: MLflow, then the backend, then the page, each once the one before is ready.
#
#   AZURE_RESOURCE_GROUP=iris-ml IMAGES=ghcr.io/owner/name TAG=1.2.3 deploy/azure/deploy.sh
#
# The workflow calls it, or a person who is logged in. Run again with the same it changes nothing; with another TAG it
# goes forward or back. Secrets are made at the first run and kept in the apps; what is set below takes their place:
# API_KEY, MLFLOW_ADMIN_PASSWORD, JOURNAL_URL, MLFLOW_BACKEND_STORE_URI.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/azure/common.sh
. ./common.sh

need IMAGES "what the images' names begin with, such as ghcr.io/owner/name"
need TAG "the tag of the images, such as 1.2.3"
need_answer AZURE_BACKEND_PUBLIC
need_answer AZURE_MLFLOW_PUBLIC
# The limit counts for callers within the environment, too: others have met the same (azure-container-apps#527).
case ${AZURE_BACKEND_PUBLIC:-no}:${AZURE_ALLOWED_ADDRESSES:-} in
  no:* | yes:) ;;
  *) fail "AZURE_BACKEND_PUBLIC=yes and AZURE_ALLOWED_ADDRESSES exclude each other: Azure would refuse the page's own calls, too. Leave one of them out." ;;
esac
[[ ${AZURE_BACKEND_REPLICAS:-1} =~ ^[1-9][0-9]?$ ]] ||
  fail "AZURE_BACKEND_REPLICAS is a number from 1 to 99, not $AZURE_BACKEND_REPLICAS."
case ${AZURE_MLFLOW_CORES:-2} in
  0.5 | 1 | 2 | 4) ;;
  *) fail "AZURE_MLFLOW_CORES is 0.5, 1, 2 or 4, not $AZURE_MLFLOW_CORES." ;;
esac
need_login

# The API itself, by `az rest`: `az containerapp` also asks of the whole subscription, which the workflow may not, and
# takes an answer that did not come for one without secrets.
api="/subscriptions/{subscriptionId}/resourceGroups/$group/providers/Microsoft.App"
arm() { # method, path below Microsoft.App, and what else az is to do
  az rest --method "$1" --url "$api/$2?api-version=2025-07-01" "${@:3}"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

there=$(arm get containerApps --query 'value[].name' --output tsv)

# The value of an app's secret; nothing before its first deployment.
kept() {
  grep -qx "$1" <<<"$there" || return 0
  arm post "containerApps/$1/listSecrets" --query "value[?name=='$2'].value | [0]" --output tsv
}

random() { openssl rand -hex 32; }

set_secrets() {
  API_KEY=${API_KEY:-$(kept mlflow api-key)}
  API_KEY=${API_KEY:-$(random)}
  MLFLOW_ADMIN_PASSWORD=${MLFLOW_ADMIN_PASSWORD:-$(kept mlflow mlflow-password)}
  MLFLOW_ADMIN_PASSWORD=${MLFLOW_ADMIN_PASSWORD:-$(random)}
  MLFLOW_FLASK_SERVER_SECRET_KEY=$(kept mlflow mlflow-session-key)
  MLFLOW_FLASK_SERVER_SECRET_KEY=${MLFLOW_FLASK_SERVER_SECRET_KEY:-$(random)}
  MODEL_SIGNING_KEY=$(kept mlflow model-signing-key)
  MODEL_SIGNING_KEY=${MODEL_SIGNING_KEY:-$(openssl genpkey -algorithm ed25519)}
  MODEL_PUBLIC_KEY=$(openssl pkey -pubout <<<"$MODEL_SIGNING_KEY")
  JOURNAL_URL=${JOURNAL_URL:-$(kept backend journal-url)}
  JOURNAL_URL=${JOURNAL_URL:-sqlite:////journal/journal.db}
  MLFLOW_BACKEND_STORE_URI=${MLFLOW_BACKEND_STORE_URI:-$(kept mlflow mlflow-store)}
  MLFLOW_BACKEND_STORE_URI=${MLFLOW_BACKEND_STORE_URI:-sqlite:///mlruns/mlflow.db}
  # MLflow's one user is made anew at each start, with the password that it has then.
  MLFLOW_LOGIN=$(sed 's|^database_uri = .*|database_uri = sqlite:////tmp/basic_auth.db|' ../mlflow-auth/basic_auth.ini)
  export API_KEY JOURNAL_URL MODEL_SIGNING_KEY MODEL_PUBLIC_KEY
  export MLFLOW_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY MLFLOW_BACKEND_STORE_URI MLFLOW_LOGIN
}

set_places() {
  IMAGES=$(tr '[:upper:]' '[:lower:]' <<<"$IMAGES")
  ENVIRONMENT_ID=$(arm get "managedEnvironments/$environment" --query id --output tsv)
  LOCATION=$(arm get "managedEnvironments/$environment" --query location --output tsv)
  DOMAIN=$(arm get "managedEnvironments/$environment" --query properties.defaultDomain --output tsv)
  BACKEND_PUBLIC=${AZURE_BACKEND_PUBLIC:-no}
  MLFLOW_PUBLIC=${AZURE_MLFLOW_PUBLIC:-no}
  BACKEND_REPLICAS=${AZURE_BACKEND_REPLICAS:-1}
  MLFLOW_CORES=${AZURE_MLFLOW_CORES:-2}
  ALLOWED_ADDRESSES=${AZURE_ALLOWED_ADDRESSES:-}
  DATASET=${AZURE_DATASET:-}
  TARGET=${AZURE_TARGET:-}
  export IMAGES TAG ENVIRONMENT_ID LOCATION DOMAIN BACKEND_PUBLIC MLFLOW_PUBLIC BACKEND_REPLICAS ALLOWED_ADDRESSES
  export MLFLOW_CORES DATASET TARGET
}

# Two of them would write to one SQLite on the share. So the old one ends first, where there will be a new one; and where
# there will not, one that a failed deployment has ended goes on.
prepare_mlflow() { # the checksum of what it is to be
  local app=containerApps/mlflow path active replicas tries
  grep -qx mlflow <<<"$there" || return 0
  path=$app/revisions/$(arm get "$app" --query properties.latestRevisionName --output tsv)
  active=$(arm get "$path" --query properties.active --output tsv)
  if [ "$(arm get "$app" --query tags.configuration --output tsv)" = "$1" ]; then
    [ "$active" = true ] || arm post "$path/activate" --output none
    return
  fi
  say "Ending ${path##*/}"
  [ "$active" != true ] || arm post "$path/deactivate" --output none
  for ((tries = 0; tries < 90; tries++)); do
    replicas=$(arm get "$path" --query "properties.replicas || '0'" --output tsv)
    [ "$replicas" != 0 ] || return 0
    sleep "${POLL_SECONDS:-10}"
  done
  fail "${path##*/} does not end. Look at it in the portal, then run this again."
}

# As Azure asks for them, without a login: what it cannot pull is found before anything is ended. Of GitHub's registry
# alone; others have other logins.
look_for_image() {
  local path=${IMAGES#ghcr.io/}/$1 token status=0
  [[ $IMAGES == ghcr.io/* ]] || return 0
  token=$(curl -fsS "https://ghcr.io/token?scope=repository:$path:pull" 2>/dev/null | sed 's/.*"token":"\([^"]*\)".*/\1/') || status=$?
  [ "$status" != 0 ] || curl -fsS --head --output /dev/null -H "Authorization: Bearer $token" \
    -H "Accept: application/vnd.oci.image.index.v1+json" "https://ghcr.io/v2/$path/manifests/$TAG" 2>/dev/null || status=$?
  # 22 is an answer that refuses; without an answer, Azure may have one.
  [ "$status" != 22 ] || fail "Azure could not pull $IMAGES/$1:$TAG. Is TAG right, and is the package public?"
}

# Until the newest revision takes requests.
wait_until_ready() {
  local tries provisioning latest ready
  for ((tries = 0; tries < 90; tries++)); do
    read -r provisioning latest ready < <(arm get "containerApps/$1" --output tsv \
      --query "properties.[[provisioningState, latestRevisionName, latestReadyRevisionName]]") || true
    case "$provisioning $latest" in
      "Succeeded None") ;; # it is not even named yet
      "Failed "*) fail "Azure could not deploy $1. Its page in the portal says why, under Revisions and replicas." ;;
      "Succeeded $ready") return ;;
    esac
    sleep "${POLL_SECONDS:-10}"
  done
  fail "$1 is not ready. See why: az containerapp logs show --resource-group $group --name $1 --tail 100"
}

deploy() {
  local checksum
  python3 apps.py "$1" >"$work/$1.json"
  checksum=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["tags"]["configuration"])' <"$work/$1.json")
  [ "$1" != mlflow ] || prepare_mlflow "$checksum"
  say "Deploying $1 $TAG"
  arm put "containerApps/$1" --body "@$work/$1.json" --output none
  wait_until_ready "$1"
}

set_places
set_secrets
case $BACKEND_REPLICAS:$JOURNAL_URL in
  1:* | *:postgresql*) ;;
  *) fail "AZURE_BACKEND_REPLICAS needs a JOURNAL_URL of PostgreSQL: each replica would have a journal of its own." ;;
esac
for app in mlflow backend frontend; do look_for_image "$app"; done
deploy mlflow
deploy backend
deploy frontend

url=https://frontend.$DOMAIN
[ -z "${GITHUB_OUTPUT:-}" ] || echo "url=$url" >>"$GITHUB_OUTPUT"
say "The page is at $url"
