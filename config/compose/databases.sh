#!/bin/sh
# Run by the postgres image on an empty volume: a database and a role for each of the two, with the
# passwords of secrets/.
set -eu
for name in bridge mattermost; do
  psql --quiet --set=ON_ERROR_STOP=1 --username=postgres \
    --set=role="$name" --set=password="$(cat "/run/secrets/postgres_$name")" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
done
