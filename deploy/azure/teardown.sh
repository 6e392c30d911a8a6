#!/usr/bin/env bash
# Deletes the resource group that setup.sh made, with models, runs and all else in it.
#
#   AZURE_RESOURCE_GROUP=iris-ml deploy/azure/teardown.sh          asks for the group's name first
#   AZURE_RESOURCE_GROUP=iris-ml deploy/azure/teardown.sh --yes    does not
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/azure/common.sh
. ./common.sh

need_login
if [ "$(az group exists --name "$group" --output tsv)" != true ]; then
  say "There is no resource group $group: nothing to delete"
  exit
fi
[ "$(az group show --name "$group" --query tags.made_by --output tsv)" = iris-ml ] ||
  fail "The resource group $group was not made by setup.sh. Nothing is deleted."

if [ "${1:-}" != --yes ]; then
  echo "This deletes all that is in $group, models and runs too, for good:" >&2
  az resource list --resource-group "$group" --query '[].[type, name]' --output tsv >&2
  read -r -p "The name of the group, if it is to be deleted: " answer
  [ "$answer" = "$group" ] || fail "Nothing is deleted."
fi

say "Deleting $group, which takes some minutes"
# For good: it would be kept for two weeks, and a new one of this name have its old lines.
if have monitor log-analytics workspace show --resource-group "$group" --workspace-name "$workspace"; then
  az monitor log-analytics workspace delete --resource-group "$group" --workspace-name "$workspace" \
    --force true --yes --output none
fi
az group delete --name "$group" --yes --output none

say "Done. GitHub need not know it any more:"
for variable in AZURE_CLIENT_ID AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP; do
  echo "gh variable delete $variable"
done
