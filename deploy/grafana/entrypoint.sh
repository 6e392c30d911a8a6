#!/bin/sh
# Starts Grafana with the password it is given, or one of its own that only its log says; never admin.
set -eu
if [ -z "${GF_SECURITY_ADMIN_PASSWORD:-}" ]; then
  GF_SECURITY_ADMIN_PASSWORD=$(head -c 15 /dev/urandom | base64)
  echo "GRAFANA_PASSWORD is not set. Until the next start log in as admin with $GF_SECURITY_ADMIN_PASSWORD"
fi
export GF_SECURITY_ADMIN_PASSWORD
exec /run.sh "$@"
