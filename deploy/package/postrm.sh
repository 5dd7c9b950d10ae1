#!/bin/sh
# The account, media and what an operator wrote into /etc/warouter stay. dpkg removes warouter.env at
# a purge; rpm keeps it as .rpmsave if it was edited.
set -eu
case ${1:-} in remove | purge | 0) ;; *) exit ;; esac
if test "$1" != remove; then
	rm -f /etc/systemd/system/*.wants/warouter-*.service
	rmdir /etc/warouter/secrets /etc/warouter 2>/dev/null || true
fi
if test -d /run/systemd/system; then systemctl daemon-reload; fi
