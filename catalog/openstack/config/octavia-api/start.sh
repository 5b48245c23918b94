#!/bin/bash
# The API blocks silently until the driver agent's sockets are there: wait for them in the open.
until [[ -S /var/run/octavia/status.sock && -S /var/run/octavia/get.sock ]]; do sleep 0.2; done
exec uwsgi /etc/octavia/uwsgi.ini
