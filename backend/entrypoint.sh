#!/bin/sh
# Started as root, goes on as the owner of a folder: it can read or write that, whatever its mode.
set -eu
folder="${RUN_AS_OWNER_OF:-/models}"
if [ "$(id -u)" = 0 ]; then
  set -- setpriv --reuid="$(stat -c %u "$folder")" --regid="$(stat -c %g "$folder")" --clear-groups -- "$@"
fi
exec "$@"
