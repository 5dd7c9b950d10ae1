#!/bin/sh
# Builds warouter:latest and warouter:local from the wheels of `make packages`, without a network if
# BASE brings Python: deploy/container/build.sh [TOOL [ARGUMENT...]], such as `docker build`.
set -eu
cd "$(dirname "$0")/../.."
if [ "$#" = 0 ]; then
    for tool in docker podman buildah; do
        if command -v "$tool" >/dev/null; then set -- "$tool" build; break; fi
    done
fi
[ "$#" != 0 ] || { echo "install docker, podman or buildah to build an image" >&2; exit 1; }
wheel=$(ls dist/wheelhouse-cp313/warouter-*.whl 2>/dev/null) \
    || { echo "there are no wheels in dist/wheelhouse-cp313: run make packages" >&2; exit 1; }
version=$(basename "$wheel" | cut -d- -f2)
# OCI's format has no HEALTHCHECK: Podman and Buildah write Docker's where they are told.
export BUILDAH_FORMAT=docker
for target in warouter local; do
    case $target in warouter) tag=latest number=$version ;; local) tag=local number=$version-local ;; esac
    "$@" --file deploy/container/Containerfile --target "$target" --build-arg "VERSION=$version" \
        --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || true)" \
        --tag "warouter:$tag" --tag "warouter:$number" .
done
