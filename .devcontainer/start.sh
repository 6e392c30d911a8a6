#!/bin/sh
# Starts the stack in the background, once the container's own Docker engine answers.
set -eu

# A browser reaches a codespace's ports by names of their own.
if [ -n "${CODESPACE_NAME:-}" ] && [ ! -f .env ]; then
  mlflow=$CODESPACE_NAME-8003.${GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN:-app.github.dev}
  cat >.env <<END
MLFLOW_UI_URL=https://$mlflow
MLFLOW_SERVER_ALLOWED_HOSTS=localhost:*,127.0.0.1:*,mlflow:*,$mlflow
MLFLOW_SERVER_CORS_ALLOWED_ORIGINS=https://$mlflow
END
fi
timeout 60 sh -c 'until docker info >/dev/null 2>&1; do sleep 1; done' || true # `make run` says what is wrong
exec make run ARGS=--detach
