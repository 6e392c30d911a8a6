#!/usr/bin/env bash
# Checks what the scripts ask of az, without a cloud: each call of the tests and of the documentation by the real command
# line's own parser, and each container app by the real models of the API. It installs the Azure CLI into .azure-cli, in
# two minutes and 1 GB.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ ! -x .azure-cli/bin/az ]; then
  python3 -m venv .azure-cli
  .azure-cli/bin/pip install --quiet --disable-pip-version-check azure-cli==2.91.0
fi
calls=$(mktemp)
trap 'rm -f "$calls"' EXIT
AZ_CALLS=$calls .venv/bin/python -m pytest --quiet tests/test_azure.py
AZURE_CONFIG_DIR=$PWD/.azure-cli AZURE_CORE_COLLECT_TELEMETRY=no \
  .azure-cli/bin/python deploy/azure/check.py "$calls" docs/how-to/azure.md
