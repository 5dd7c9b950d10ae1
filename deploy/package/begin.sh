# Sourced by build.sh and pack.sh, with their arguments: SOURCE DIST. The same commit gives the same
# bytes on the same machine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
mkdir -p "$2"
dist=$(cd "$2" && pwd)
shift 2
# Debian 13's, whose path is in the packages.
DEBIAN_PYTHON=/usr/bin/python3.13
VERSION=$(sed -n 's/^__version__ = "\([^"]*\)".*/\1/p' "$source/src/warouter/__init__.py")

if test -z "${SOURCE_DATE_EPOCH:-}"; then
	if test -e "$source/.git"; then
		SOURCE_DATE_EPOCH=$(git -C "$source" log -1 --format=%ct)
	else # git archive and sdists give their files the time of the commit
		SOURCE_DATE_EPOCH=$(stat -c %Y "$source/pyproject.toml")
	fi
fi
export VERSION SOURCE_DATE_EPOCH CFLAGS=-g0 TZ=UTC LC_ALL=C.UTF-8 PIP_DISABLE_PIP_VERSION_CHECK=1
umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
