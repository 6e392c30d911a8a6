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

# A server stopped while it makes a database leaves one that never starts again: so each is made
# under another name first.
# shellcheck disable=SC2086  # as_owner is several words, or none
make_database() { # its address, and what makes it
  case $1 in sqlite:///*) ;; *) return ;; esac
  database=${1#sqlite:///}
  if ! $as_owner test -e "$database"; then # root may not even look into another's folder
    $as_owner rm -f "$database.new"
    $as_owner python3 -c "$2" "sqlite:///$database.new"
    $as_owner mv -n "$database.new" "$database"
  fi
}

make_database "$MLFLOW_BACKEND_STORE_URI" 'import sys
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore(sys.argv[1], "mlflow-artifacts:/")'

# That of MLflow's own users, where it has a login, such as deploy/mlflow-auth gives it.
if [ -n "${MLFLOW_AUTH_CONFIG_PATH-}" ]; then
  # shellcheck disable=SC2086  # as above
  users=$($as_owner sed -n 's/^database_uri *= *//p' "$MLFLOW_AUTH_CONFIG_PATH")
  make_database "$users" 'import sys
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore().init_db(sys.argv[1])'
fi

# shellcheck disable=SC2086  # as above
exec $as_owner mlflow server --workers 1 "$@"
