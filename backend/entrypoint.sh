#!/bin/sh
# Started as root, goes on as the owner of the models folder: it can read that, whatever its mode.
set -eu
if [ "$(id -u)" = 0 ]; then
  set -- setpriv --reuid="$(stat -c %u /models)" --regid="$(stat -c %g /models)" --clear-groups -- "$@"
fi
exec "$@"
