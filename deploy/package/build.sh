#!/bin/bash
# `make packages`: what a release consists of, from one source tree: sdist, wheels, wheelhouse, then
# pack.sh. PATH has the programs of .venv-tools, and uv.
# usage: build.sh SOURCE DIST PYTHON...
. "$(dirname "$0")/begin.sh"

# Whether a Python makes venvs and has its headers.
builds() {
	"$1" -c 'import ensurepip, os, sysconfig
os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null
}

# The manylinux wheel of one Python, from the sdist: what is not in that, is not in a wheel either.
wheel() {
	cp -a "$work/tree" "$work/tree-$2"
	uv build --quiet --wheel --python "$1" --out-dir "$work/raw-$2" --require-hashes \
		--build-constraints "$here/../build.lock" "$work/tree-$2"
	auditwheel repair --wheel-dir "$dist" "$work/raw-$2"/*.whl
}

# Every wheel that Debian's Python needs, with those of the extras: nothing else is downloaded later.
wheelhouse() {
	local lock=$source/deploy/extras.lock house=$dist/wheelhouse-cp313
	test -e "$lock" || lock=$here/../extras.lock # of a tree that is older than that file
	rm -rf "$house" && mkdir "$house"
	uv venv --quiet --python "$DEBIAN_PYTHON" "$work/debian"
	python -m pip --python "$work/debian/bin/python" download --quiet --require-hashes --no-deps \
		--only-binary :all: --dest "$house" --requirement "$lock"
	cp "$dist/warouter-$VERSION"-cp313-*.whl "$house"
}

rm -f "$dist"/warouter[-_]"$VERSION"*
python -m build --sdist --no-isolation --outdir "$dist" "$source" >"$work/said" 2>&1 \
	|| { tail -n 20 "$work/said"; exit 1; }
# Cython once, then a compiler for each Python.
mkdir "$work/tree"
tar --extract --file "$dist/warouter-$VERSION.tar.gz" --directory "$work/tree" --strip-components 1
(cd "$work/tree" && python setup.py --quiet --version) >"$work/said" 2>&1 \
	|| { tail -n 20 "$work/said"; exit 1; }

built=() jobs=()
for python in "$@" "$DEBIAN_PYTHON"; do
	version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version=
	case " ${built[*]} " in *" $version "*) continue ;; esac
	if test -n "$version" && builds "$python"; then
		built+=("$version")
		wheel "$python" "$version" >"$work/said-$version" 2>&1 &
		jobs+=("$!:$version")
	else
		echo "wheel for $python: not run (it is not here with its venv and headers)"
	fi
done
for job in "${jobs[@]}"; do
	wait "${job%:*}" || { tail -n 20 "$work/said-${job#*:}"; exit 1; }
done

case " ${built[*]} " in
*" 3.13 "*)
	wheelhouse
	"$here/pack.sh" "$source" "$dist"
	;;
*) echo "wheelhouse, .deb and .rpm: not run (they are for $DEBIAN_PYTHON)" ;;
esac
(cd "$dist" && ls -sh1 warouter[-_]"$VERSION"*)
