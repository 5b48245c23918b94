#!/bin/sh
# CGI: the number of visits so far. Appending a line needs no lock.
echo visit >>/var/visits/log
printf 'Content-Type: text/plain\r\n\r\n%s\n' "$(wc -l </var/visits/log)"
