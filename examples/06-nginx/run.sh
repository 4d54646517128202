#!/bin/sh
# nginx reads no environment, so the port is written into a copy of its configuration.
set -eu
work=$(mktemp -d)
sed -e "s/@PORT@/$PORT/; s/@VERSION@/$APP_VERSION/g; s#@WORK@#$work#g" nginx.conf > "$work/nginx.conf"
exec nginx -p "$work" -c "$work/nginx.conf" -e stderr
