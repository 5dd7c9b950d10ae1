#!/bin/sh
# The account of the units; 990 is also that of the container image, so that both share media.
set -eu
if test -d /opt/warouter && ! test -L /opt/warouter; then
	echo "warouter: /opt/warouter is a folder of another installation: stop what runs from it and move it away" >&2
	exit 1
fi
free() { ! getent "$1" 990 >/dev/null; }
if ! getent group warouter >/dev/null; then
	groupadd --system $(free group && echo --gid 990) warouter
fi
if ! getent passwd warouter >/dev/null; then
	useradd --system $(free passwd && echo --uid 990) --gid warouter --no-create-home \
		--home-dir /nonexistent --shell /usr/sbin/nologin warouter
fi
