# What setup.sh, deploy.sh and teardown.sh share.
# shellcheck shell=bash disable=SC2034  # most of it is for those

say() { echo "== $1" >&2; }
fail() { echo "$1" >&2; exit 1; }

# A variable that has to be set, and what it is to hold.
need() { [ -n "${!1:-}" ] || fail "Set $1 to $2; docs/how-to/azure.md explains."; }

# One that has to hold yes or no, where it is set.
need_answer() {
  case ${!1:-no} in yes | no) ;; *) fail "$1 is yes or no, not ${!1}." ;; esac
}

# Whether `az` finds what its arguments name.
have() { az "$@" --output none 2>/dev/null; }

need_login() {
  command -v az >/dev/null || fail "There is no az. Install the Azure CLI: https://aka.ms/azure-cli"
  have account show || fail "az is not logged in. Run: az login"
}

need AZURE_RESOURCE_GROUP "the name of the resource group, such as iris-ml"
group=$AZURE_RESOURCE_GROUP
environment=iris-ml
identity=iris-ml-deployer
workspace=iris-ml-logs
