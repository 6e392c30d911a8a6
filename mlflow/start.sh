#!/bin/sh
# Runs the tracking server and, beside it, the first training where no model is published yet.
set -eu

export MLFLOW_BACKEND_STORE_URI="${MLFLOW_BACKEND_STORE_URI:-sqlite:///mlruns/mlflow.db}"
export MLFLOW_ARTIFACTS_DESTINATION="${MLFLOW_ARTIFACTS_DESTINATION:-mlruns/artifacts}"
export MLFLOW_SERVER_ALLOWED_HOSTS="${MLFLOW_SERVER_ALLOWED_HOSTS:-localhost:*,127.0.0.1:*,mlflow:*}"
# Job runners are a dozen processes and two gigabytes for what is not used here.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_DISABLE_TELEMETRY=true
# A training is two hundred lines otherwise.
export MLFLOW_UVICORN_OPTS="${MLFLOW_UVICORN_OPTS:---no-access-log}"

# In the container root goes on as the owner of mlruns/, so that what is written there is theirs.
as_owner=""
if [ -n "${DROP_ROOT:-}" ] && [ "$(id -u)" = 0 ]; then
  as_owner="setpriv --reuid=$(stat -c %u mlruns) --regid=$(stat -c %g mlruns) --clear-groups --"
fi

python3 metrics.py --first &

# A server stopped while it makes a database leaves one that never starts again, and those of an older MLflow it refuses.
# shellcheck disable=SC2086  # as_owner is several words, or none
$as_owner python3 databases.py

# shellcheck disable=SC2086  # as above
exec $as_owner mlflow server --workers 1 "$@"
