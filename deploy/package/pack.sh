#!/bin/bash
# .deb, .rpm and SBOM from a source tree and the wheelhouse in DIST; it needs no network.
# usage: pack.sh SOURCE DIST
. "$(dirname "$0")/begin.sh"
final=/usr/lib/warouter/$VERSION # see postinst.sh

fill() {
	uv pip install --quiet --python "$1" --offline --no-index --link-mode copy \
		--find-links "$dist/wheelhouse-cp313" "${@:2}"
}

# A venv that says where it will stand, compiled, with all of its times those of the commit.
stage() {
	"$DEBIAN_PYTHON" -m venv --without-pip --symlinks "$1"
	fill "$1" --require-hashes --requirement "$source/deploy/requirements.lock"
	# Not from uv's cache: another build of this version may have lain at the same place.
	fill "$1" --no-deps --no-cache "warouter==$VERSION"
	find "$1/bin" -type f ! -name warouter -delete
	rm -f "$1/.lock" # uv's, which everybody may write
	# When uv saw each wheel; and the hashes of scripts that name the folder of the build.
	find "$1" -name uv_cache.json -delete
	sed -i -e '/^\.\.\/\.\.\/\.\.\/bin\//d' -e '/\/uv_cache\.json,/d' \
		"$1"/lib/python3*/site-packages/*.dist-info/RECORD
	sed -i "1s|.*|#!$final/bin/python|" "$1/bin/warouter"
	sed -i "s|$1|$final|" "$1/pyvenv.cfg"
	find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
	"$DEBIAN_PYTHON" -m compileall -q --invalidation-mode timestamp -s "$1" -p "$final" "$1/lib"
	find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
	if grep -rl "$work" "$1"; then echo "packages: these name the folder of the build" >&2; exit 1; fi
}

# The documents and scripts, beside the venv: nfpm.yaml takes all from there and from the tree.
gather() {
	ln -s "$source" source
	install -D -m 644 -t doc "$source"/docs/*.md "$source/README.md" "$source/CHANGELOG.md"
	install -m 644 "$source/LICENSE" doc/copyright
	find doc -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
	# What runs on instances of AWS, in builds that have it.
	mkdir aws units
	install -m 644 -t units "$source"/deploy/systemd/*.service
	if test -e "$source/deploy/aws/instance.py"; then
		install -m 644 -t aws "$source/deploy/aws/instance.py"
		install -m 644 -t units "$source"/deploy/aws/*.service
	fi
	find aws units -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
	cp "$here"/p*inst.sh "$here"/p*rm.sh .
}

mkdir "$work/root"
cd "$work/root"
stage "$work/root/venv"
gather
nfpm package --config "$here/nfpm.yaml" --packager deb --target "$dist/warouter_${VERSION}_amd64.deb"
nfpm package --config "$here/nfpm.yaml" --packager rpm --target "$dist/warouter-$VERSION.x86_64.rpm"
cyclonedx-py environment --output-reproducible --spec-version 1.6 --output-format JSON \
	--output-file "$dist/warouter-$VERSION.cdx.json" "$work/root/venv/bin/python"
vendored=$source/src/warouter/static/console/VENDORED.md
if test -e "$vendored"; then # builds before the console have none
	"$DEBIAN_PYTHON" "$here/vendored.py" "$vendored" "$dist/warouter-$VERSION.cdx.json"
fi
