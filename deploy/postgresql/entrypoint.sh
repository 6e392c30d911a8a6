#!/bin/sh
# Makes the databases where the volume is empty, sets their passwords, then becomes PostgreSQL.
set -eu
data=/var/lib/postgresql/17

# Under another name first, or one that is killed on the way would never start again.
if [ ! -e "$data" ]; then
  rm -rf "$data.new"
  # Sorting by the server's own rules, which no newer system library changes under an index.
  initdb --pgdata="$data.new" --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8 --data-checksums
  mv "$data.new" "$data"
fi

# pg_ctl gives up after a minute. After a crash the log may take longer to read, and a container that
# ends meanwhile only begins anew.
export PGCTLTIMEOUT=86400

# It listens where only this script looks, and logs no statement: they have the passwords.
rules="-c hba_file=/etc/postgresql/pg_hba.conf"
own=$(mktemp -d)
pg_ctl --pgdata="$data" --wait --silent --log=/dev/stderr start --options="$rules \
  -c listen_addresses= -c unix_socket_directories=$own -c log_min_error_statement=panic"
psql --quiet --no-psqlrc --host="$own" --file=/etc/postgresql/databases.sql
pg_ctl --pgdata="$data" --wait --silent --mode=fast stop
rm -r "$own"

unset MLFLOW_PASSWORD JOURNAL_PASSWORD PGCTLTIMEOUT
# shellcheck disable=SC2086  # rules are several words
exec postgres -D "$data" $rules -c listen_addresses='*' -c unix_socket_directories="$PGHOST" "$@"
