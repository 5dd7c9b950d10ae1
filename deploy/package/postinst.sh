#!/bin/sh
# Makes this version the one that starts; nothing is restarted. Processes load some modules late: what
# runs keeps the files it started from, since they are links of its version's own folder. The
# version before stays for that, and any other from which a process runs.
set -eu
here=/usr/lib/warouter
version=$(sed -n "s|^#!$here/\(.*\)/bin/python$|\1|p" $here/package/bin/warouter)
former=$(readlink /opt/warouter || true)

rm -rf $here/new $here/old
cp -al $here/package $here/new
if test -e "$here/${version:?}"; then mv "$here/$version" $here/old; fi
mv $here/new "$here/$version"
ln -sfn "$here/$version" $here/current
mv -T $here/current /opt/warouter

rm -rf $here/old
for folder in $here/*; do
	case $folder in
	"$here/package" | "$here/aws" | "$here/$version" | "$former") continue ;;
	esac
	if ! grep -qsF " $folder/" /proc/[0-9]*/maps; then rm -rf "$folder"; fi
done
install -d -m 750 -g warouter /etc/warouter/secrets
if test -d /run/systemd/system; then systemctl daemon-reload; fi
