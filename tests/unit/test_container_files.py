"""The files that are not brought up here, those of Kubernetes among them, and what all keep to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.units import seconds, unit

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "container"
KUBERNETES = ROOT / "deploy" / "kubernetes"
FILES = {
    "multiconnect": ("compose.yaml",),
    "host": ("compose.host.yaml",),
    "monitoring": ("compose.yaml", "compose.monitoring.yaml"),
}
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_STAGES = ("base", "build", "build-local", "runtime")
# `${NAME}`, `${NAME-default}`, and `${NAME:-default}` where nothing counts as not set.
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<colon>:?)-(?P<default>[^}]*))?\}")


@pytest.fixture(params=sorted(FILES))
def services(request: pytest.FixtureRequest) -> dict[str, Any]:
    return _services(FILES[request.param], {})


def _services(files: tuple[str, ...], told: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in files:
        found |= _file(name, told)["services"]
    return found


def _file(name: str, told: Mapping[str, str]) -> dict[str, Any]:
    """As Compose reads it where its variables are ``told``: no engine is needed for that."""

    def value(found: re.Match[str]) -> str:
        given = told.get(found["name"])
        unset = given is None or (not given and found["colon"])
        return (found["default"] or "") if unset else str(given)

    def filled(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: filled(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [filled(inner) for inner in part]
        return _VARIABLE.sub(value, part) if isinstance(part, str) else part

    read: dict[str, Any] = filled(yaml.safe_load((SHIPPED / name).read_text()))
    assert "${" not in str(read), f"{name} has a variable of a form that is not read here"
    return read


def test_no_service_may_do_more_than_run(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name
        assert service["ulimits"]["nofile"]["soft"] == "65536", name
        assert "privileged" not in service, name


def test_a_role_stops_within_the_time_of_its_unit(services: dict[str, Any]) -> None:
    for name, service in services.items():
        role = str(service.get("command", [""])[0])
        if unit(role).exists():
            assert service["stop_grace_period"] == f"{seconds(role, 'TimeoutStopSec'):g}s", name
            assert service["restart"] == "unless-stopped", name


def test_media_of_a_machine_may_be_in_a_bucket() -> None:
    """One of both is named, and what is gathered has a place that can be written."""
    for told, directory in (({}, "/var/lib/warouter/media"), ({"WAROUTER_MEDIA_DIR": ""}, "")):
        services = _services(("compose.host.yaml",), told)
        for name, service in services.items():  # all: the image names a directory, too
            environment = service["environment"]
            assert environment["WAROUTER_MEDIA_DIR"] == directory, name
            mounts = [mount.split(":")[1] for mount in service["volumes"]]
            carries = name.startswith(("webapp", "coreapp"))
            assert (environment["WAROUTER_MEDIA_SPOOL"] in mounts) is carries, name


def test_no_more_than_the_containers_own_network_is_open_to_the_webhook() -> None:
    """And nothing at all to media links, which every user writes."""
    for told, listed in (
        ({}, "10.243.77.0/24,"),
        ({"WAROUTER_SUBNET": "10.1.2.0/28"}, "10.1.2.0/28,"),
    ):
        found = _file("compose.yaml", told)
        assert found["networks"]["default"]["ipam"]["config"] == [{"subnet": listed[:-1]}]
        processes = [x["environment"] for x in found["services"].values() if "environment" in x]
        opened = [e["WAROUTER_ALLOW_PRIVATE"] for e in processes if "WAROUTER_ALLOW_PRIVATE" in e]
        assert set(opened) == {listed}
        assert not any("WAROUTER_MEDIA_ALLOW_PRIVATE" in e for e in processes)


def test_registry_images_are_named_by_digest(services: dict[str, Any]) -> None:
    """A tag can be moved to other bytes. What `make image` has built has no other name."""
    for name, service in services.items():
        image = service["image"]
        assert image == "warouter:latest" or _DIGEST.search(image), name


def test_the_base_of_the_image_is_named_by_digest() -> None:
    text = (SHIPPED / "Containerfile").read_text()
    (base,) = re.findall(r"^ARG BASE=(.*)$", text, re.M)
    assert _DIGEST.search(base)
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) <= {"${BASE}", *_STAGES}
    assert "# syntax=" not in text, "the frontend would be an image by tag"


def test_mounted_files_are_shipped(services: dict[str, Any]) -> None:
    mounts = [m for service in services.values() for m in service.get("volumes", ())]
    for mount in mounts:
        source = mount.split(":")[0]
        assert not source.startswith(".") or (SHIPPED / source).is_file(), mount


@pytest.fixture(scope="module")
def pods() -> dict[str, Any]:
    """The templates of pods by their name, as Kubernetes reads them."""
    files = [file for file in KUBERNETES.glob("*.yaml") if file.stem != "kustomization"]
    parts = [part for file in files for part in yaml.safe_load_all(file.read_text())]
    made = {part["metadata"]["name"]: part for part in parts if "template" in part.get("spec", {})}
    return {name: part["spec"]["template"] for name, part in made.items()}


def test_a_pod_ends_within_the_time_of_its_unit(pods: dict[str, Any]) -> None:
    assert sorted(pods) == ["console", "coreapp", "master", "migrate", "webapp"]
    for role in ("console", "coreapp", "master", "webapp"):
        spec = pods[role]["spec"]
        [container] = spec["containers"]
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        wanted = seconds(role, "TimeoutStopSec") + before.get("seconds", 0)
        assert spec["terminationGracePeriodSeconds"] >= wanted, role


def test_a_new_database_gets_its_schema_and_its_upstream_by_one_command(
    pods: dict[str, Any],
) -> None:
    """``migrate`` chooses the upstream by the same variables as the processes have."""
    [container] = pods["migrate"]["spec"]["containers"]
    assert container["args"][0] == "migrate"
    assert container["envFrom"] == [{"configMapRef": {"name": "warouter"}}]


def test_policies_name_the_pods_that_there_are(pods: dict[str, Any]) -> None:
    labels = {
        name: pod["metadata"]["labels"]["app.kubernetes.io/name"] for name, pod in pods.items()
    }
    assert all(name == label for name, label in labels.items())
    named = re.findall(
        r"app\.kubernetes\.io/name(?:: (\w+)|, operator: In, values: \[([\w, ]+)\])",
        (KUBERNETES / "network.yaml").read_text(),
    )
    assert {word for pair in named for part in pair for word in part.split(", ") if part} == set(
        pods
    )
