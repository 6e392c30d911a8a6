#!/usr/bin/env bash
# Makes in Azure what deploy.sh needs, once, by a person who may assign roles. Run again it makes what is missing.
#
#   AZURE_RESOURCE_GROUP=iris-ml AZURE_LOCATION=westeurope GITHUB_REPOSITORY=owner/name deploy/azure/setup.sh
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/azure/common.sh
. ./common.sh

need AZURE_LOCATION "a region, such as westeurope"
need GITHUB_REPOSITORY "the repository whose workflow deploys, as owner/name"
[[ $GITHUB_REPOSITORY =~ ^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$ ]] ||
  fail "GITHUB_REPOSITORY is owner/name, not $GITHUB_REPOSITORY."
need_login

subscription=$(az account show --query id --output tsv)
scope=/subscriptions/$subscription/resourceGroups/$group
# Its name is one in the world, and has to be the same at every run: 24 small letters and digits at most.
storage=irisml$(printf %s "$scope" | cksum | cut -d ' ' -f 1)
# "Container Apps Contributor": container apps, and nothing else of the group.
role=358470bc-b998-42bd-ab17-a7e34c199c0f
subject=${AZURE_SUBJECT:-repo:$GITHUB_REPOSITORY:environment:azure}

register_providers() {
  local provider
  for provider in Microsoft.App Microsoft.OperationalInsights Microsoft.Storage Microsoft.ManagedIdentity; do
    [ "$(az provider show --namespace "$provider" --query registrationState --output tsv)" = Registered ] && continue
    say "Registering $provider"
    az provider register --namespace "$provider" --wait --output none
  done
}

# teardown.sh deletes the group with all that is in it, so it must be ours alone.
make_group() {
  if have group show --name "$group"; then
    [ "$(az group show --name "$group" --query tags.made_by --output tsv)" = iris-ml ] ||
      fail "There is a resource group $group, not made by this script. Set AZURE_RESOURCE_GROUP to another name."
    return
  fi
  say "Making the resource group $group in $AZURE_LOCATION"
  az group create --name "$group" --location "$AZURE_LOCATION" --tags made_by=iris-ml --output none
}

make_storage() {
  if ! have storage account show --resource-group "$group" --name "$storage"; then
    say "Making the storage account $storage"
    az storage account create --resource-group "$group" --name "$storage" --location "$AZURE_LOCATION" \
      --kind StorageV2 --sku Standard_LRS --https-only true --min-tls-version TLS1_2 \
      --allow-blob-public-access false --output none
  fi
  local share
  for share in models runs data; do
    have storage share-rm show --resource-group "$group" --storage-account "$storage" --name "$share" && continue
    say "Making the share $share"
    az storage share-rm create --resource-group "$group" --storage-account "$storage" --name "$share" \
      --quota 100 --output none
  done
}

make_environment() {
  if ! have monitor log-analytics workspace show --resource-group "$group" --workspace-name "$workspace"; then
    say "Making the workspace $workspace for logs"
    az monitor log-analytics workspace create --resource-group "$group" --workspace-name "$workspace" \
      --location "$AZURE_LOCATION" --retention-time 30 --output none
  fi
  have containerapp env show --resource-group "$group" --name "$environment" && return
  say "Making the environment $environment, which takes some minutes"
  local customer key
  customer=$(az monitor log-analytics workspace show --resource-group "$group" --workspace-name "$workspace" \
    --query customerId --output tsv)
  key=$(az monitor log-analytics workspace get-shared-keys --resource-group "$group" --workspace-name "$workspace" \
    --query primarySharedKey --output tsv)
  az containerapp env create --resource-group "$group" --name "$environment" --location "$AZURE_LOCATION" \
    --logs-destination log-analytics --logs-workspace-id "$customer" --logs-workspace-key @- --output none <<<"$key"
}

# Also where it is there, as the key may be another by now. Keys go by standard input: arguments are for all to see.
mount_share() { # its name in the environment, the share, and what may be done with it
  say "Letting the environment mount the share $2 as $1"
  az containerapp env storage set --resource-group "$group" --name "$environment" --storage-name "$1" \
    --access-mode "$3" --azure-file-account-name "$storage" --azure-file-share-name "$2" \
    --azure-file-account-key @- --only-show-errors --output none <<<"$storage_key"
}

make_identity() {
  have identity show --resource-group "$group" --name "$identity" && return
  say "Making the identity $identity"
  az identity create --resource-group "$group" --name "$identity" --location "$AZURE_LOCATION" --output none
}

# With it GitHub's word for this repository's environment `azure` is enough to be the identity: no secret is stored.
trust_github() {
  local known verb=create
  if have identity federated-credential show --resource-group "$group" --identity-name "$identity" --name github; then
    known=$(az identity federated-credential show --resource-group "$group" --identity-name "$identity" \
      --name github --query subject --output tsv)
    [ "$known" != "$subject" ] || return 0
    verb=update
  fi
  say "Trusting $subject"
  az identity federated-credential "$verb" --resource-group "$group" --identity-name "$identity" --name github \
    --issuer https://token.actions.githubusercontent.com --subject "$subject" \
    --audiences api://AzureADTokenExchange --output none
}

assign_role() {
  local principal
  principal=$(az identity show --resource-group "$group" --name "$identity" --query principalId --output tsv)
  [ -z "$(az role assignment list --assignee-object-id "$principal" --scope "$scope" --role "$role" \
    --fill-principal-name false --query '[].id' --output tsv)" ] || return 0
  say "Letting $identity manage the container apps of $group"
  # The kind is said, as the directory may not know an identity yet that was made a second ago.
  az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role "$role" --scope "$scope" --output none
}

register_providers
make_group
make_storage
make_environment
storage_key=$(az storage account keys list --resource-group "$group" --account-name "$storage" \
  --query '[0].value' --output tsv)
mount_share models models ReadWrite
mount_share models-to-read models ReadOnly
mount_share runs runs ReadWrite
mount_share data data ReadOnly
make_identity
trust_github
assign_role

client=$(az identity show --resource-group "$group" --name "$identity" --query clientId --output tsv)
tenant=$(az account show --query tenantId --output tsv)
say "Done. Tell GitHub, by these or on its page under Settings, Secrets and variables, Actions, Variables:"
cat <<END
gh variable set AZURE_CLIENT_ID --repo $GITHUB_REPOSITORY --body $client
gh variable set AZURE_TENANT_ID --repo $GITHUB_REPOSITORY --body $tenant
gh variable set AZURE_SUBSCRIPTION_ID --repo $GITHUB_REPOSITORY --body $subscription
gh variable set AZURE_RESOURCE_GROUP --repo $GITHUB_REPOSITORY --body $group
END
