#!/bin/sh
# User data of the plain server, the tiny guest of images/tiny, which answers on port 80 by itself.
# With this it also asks port 80 of who asked, by address: the container, or the host that it is on.
mkdir -p /www/cgi-bin
cat >/www/cgi-bin/back <<'CGI'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 "$REMOTE_ADDR" 80 | sed '1,/^\r*$/d'
CGI
chmod 755 /www/cgi-bin/back
