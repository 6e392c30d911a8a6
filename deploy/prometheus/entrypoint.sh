#!/bin/sh
# Puts the first of the backend's keys where prometheus.yml looks for it, then becomes Prometheus.
set -eu
keys=${API_KEY:-}
unset API_KEY
(umask 077 && printf '%s' "${keys%%,*}" >/tmp/api_key)
exec prometheus \
  --config.file=/etc/prometheus/prometheus.yml \
  --storage.tsdb.path=/prometheus \
  --storage.tsdb.retention.time=15d \
  --web.listen-address=0.0.0.0:9090 \
  "$@"
