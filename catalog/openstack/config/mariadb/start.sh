#!/bin/bash
# MariaDB; the first start makes the system tables. Databases and accounts come from init.sql at every start.
# Root and mysql get in by the socket, and only as these very users: there is no administrator's password.
set -euo pipefail
data=/var/lib/mysql
# The mark tells the next start that this one was killed half-way: nothing in there is anybody's data yet.
mark=$data/.install-unfinished
if [[ -e $mark ]]; then
    find "$data" -mindepth 1 -delete
fi
if [[ ! -d $data/mysql ]]; then
    touch "$mark"
    mariadb-install-db --defaults-file=/etc/mysql/my.cnf --user=mysql --datadir="$data" --skip-test-db \
        --auth-root-authentication-method=socket >/dev/null
    rm "$mark"
fi
exec mariadbd --defaults-file=/etc/mysql/my.cnf --init-file=/etc/mysql/init.sql
