#!/bin/sh
# Asks the server, which asks this host back (server.sh), and the counter, which may be on another host.
ask() { timeout 5 wget -q -O - "http://$1"; }
while :; do
    if hello=$(ask "$SERVER/") && back=$(ask "$SERVER/cgi-bin/back") && count=$(ask counter:8080/cgi-bin/count); then
        echo "the server says \"$hello\"; asked back, it got \"$back\"; visit $count"
        : >/tmp/answered
    else
        rm -f /tmp/answered
    fi
    sleep 5
done
