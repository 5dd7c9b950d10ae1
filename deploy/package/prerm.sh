#!/bin/sh
# At a removal (dpkg's word, rpm's 0) stops what runs: coreapps hand over first. At an upgrade nothing.
set -eu
case ${1:-} in remove | 0) ;; *) exit ;; esac
if test -d /run/systemd/system; then systemctl stop 'warouter-*.service'; fi
find /usr/lib/warouter -mindepth 1 -maxdepth 1 ! -name package -exec rm -rf {} +
if test -L /opt/warouter; then rm -f /opt/warouter; fi
