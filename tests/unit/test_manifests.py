"""The manifests in deploy/ give each kind of process what SECURITY.md says that it gives away.

Each manifest is read for what secrets and files a process sees, and that is compared with the row
of the table. A manifest that gives more, or a row that says less, is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.userdata import arn, drop_ins, rendered

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TABLE = dict(
    re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", (ROOT / "SECURITY.md").read_text(), re.M)
)
HOSTS = {
    "webapp": "a webapp's host or login",
    "coreapp": "a coreapp's host or login",
    "master": "a master's host or login",
    "console": "the web console's host or login",
}
# What a process may be given, by the word of its row that says so.
META = "Meta's token and app secret"
MEDIA = "media"
KEY = "API key"
OWN = "own"  # its login, and its certificate with the key: those of no other kind
SAID = (META, MEDIA, KEY)
Given = dict[str, set[str]]


def judged(given: Given, table: Mapping[str, str]) -> list[str]:
    """What a manifest gives a kind of process and its row does not say, and the other way round."""
    wrong = []
    for kind, row in HOSTS.items():
        mine = given.get(kind, set())
        said = {word for word in SAID if re.search(rf"\b{word}\b", table[row])}
        wrong += [f"{kind}: {what} is not said" for what in sorted(mine - said - {OWN})]
        if META in said and META not in mine:
            wrong.append(f"{kind}: {META} is said and not given")
    return wrong


def kubernetes(_folder: Path) -> Given:
    found: Given = {}
    for kind in HOSTS:
        parts = list(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{kind}.yaml").read_text()))
        (pod,) = [part["spec"]["template"]["spec"] for part in parts if "template" in part["spec"]]
        found[kind] = {_of_volume(kind, volume) for volume in pod["volumes"]} - {""}
        assert "secretRef" not in str(pod), "a secret in the environment"
        assert "secretKeyRef" not in str(pod), "a secret in the environment"
    return found


def _of_volume(kind: str, volume: Mapping[str, Any]) -> str:
    if "persistentVolumeClaim" in volume:
        return MEDIA
    secret = volume.get("secret", {})
    name = secret.get("secretName", "")
    own = {
        "warouter-login-" + ("web-console" if kind == "console" else kind),
        "warouter-console-tls" if kind == "console" else "warouter-tls",
    }
    public = [item["key"] for item in secret.get("items", [])] == ["tls.crt"]
    if not name or name == "warouter-database" or public:
        return ""
    known = {"warouter-cloud": META, "warouter-api-key": KEY} | dict.fromkeys(own, OWN)
    return known.get(name, name)


def compose(_folder: Path) -> Given:
    services = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())["services"]
    known = {"cloud": META, "media": MEDIA, "monitoring": KEY}
    found: Given = {}
    for kind in HOSTS:
        service = "web-console" if kind == "console" else kind
        sources = [mount.split(":")[0] for mount in services[service]["volumes"]]
        found[kind] = {known.get(each, OWN if each == service else each) for each in sources}
    # The operator's commands run under no more than their login.
    assert [each.split(":")[0] for each in services["console"]["volumes"]] == ["admin"]
    return found


def compose_host(_folder: Path) -> Given:
    """A folder of secrets for each kind; those of webapps and coreapps have Meta's, by the page."""
    services = yaml.safe_load((DEPLOY / "container" / "compose.host.yaml").read_text())["services"]
    etc, found = "${WAROUTER_ETC:-/etc/warouter}", {}
    named = {"coreapp": ["coreapp-1", "coreapp-2"]}
    for kind in HOSTS:
        for service in named.get(kind, [kind]):
            mine: set[str] = set()
            for mount in services[service]["volumes"]:
                source = mount.rpartition("/etc/warouter/")[0] if etc in mount else mount
                if mount.startswith("${WAROUTER_MEDIA"):
                    mine.add(MEDIA)
                elif mount == f"{etc}/secrets/{kind}:/etc/warouter/secrets:ro":
                    mine |= {OWN, META} if kind in ("webapp", "coreapp") else {OWN}
                elif mount != f"{etc}/public:/etc/warouter/public:ro":
                    mine.add(source)
            found[kind] = mine
    page = (ROOT / "docs" / "containers.md").read_text()
    assert "are put into the folders of `webapp` and `coreapp` only" in " ".join(page.split())
    return found


def systemd(_folder: Path) -> Given:
    files = {kind: DEPLOY / "systemd" / "credentials" / f"{kind}.conf" for kind in HOSTS}
    return {kind: _credentials(file.read_text()) for kind, file in files.items()}


def aws(folder: Path) -> Given:
    parameters = {
        "ApiName": "wa.example.com",
        "CertificateSecret": arn("Certificate"),
        "Upstream": "cloud",
        "CloudPhoneNumberId": "1",
        "CloudAccountId": "2",
        "CloudSecret": arn("Cloud"),
        "MediaUrl": "s3://example-media/wa",
    }
    text = rendered(parameters, database="db.example.com")
    found = {kind: _credentials(unit) for kind, unit in drop_ins(text, folder).items()}
    return {**found, "console": set()}  # none runs there


def _credentials(unit: str) -> set[str]:
    """Of lines that are commented out, too: they are to be used with the Cloud API."""
    names = re.findall(r"^#?LoadCredential=([\w.-]+):", unit, re.M)
    known = {"api-key": KEY, "media-key": MEDIA, "cloud-token": META}
    known |= dict.fromkeys(("cloud-app-secret", "cloud-verify-token"), META)
    own = ("db-password", "tls.crt", "tls.key", "webhook.crt", "webhook.key")
    return {known.get(name, OWN if name in own else name) for name in names}


MANIFESTS: dict[str, Callable[[Path], Given]] = {
    "kubernetes": kubernetes,
    "compose.yaml": compose,
    "compose.host.yaml": compose_host,
    "systemd": systemd,
    "aws": aws,
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_process_is_given_what_its_row_says(name: str, tmp_path: Path) -> None:
    given = MANIFESTS[name](tmp_path)
    assert given.keys() == HOSTS.keys()
    assert judged(given, TABLE) == []


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.parametrize("kind", ["master", "console"])
def test_a_manifest_that_gives_metas_secrets_to_one_more_is_found(
    name: str, kind: str, tmp_path: Path
) -> None:
    given = MANIFESTS[name](tmp_path)
    given[kind] |= {META}
    assert judged(given, TABLE) == [f"{kind}: {META} is not said"]


def test_a_secret_without_a_row_is_found() -> None:
    given = {kind: {OWN, META} for kind in ("webapp", "coreapp")}
    given |= {"master": {"warouter-login-coreapp"}, "console": {MEDIA}}
    assert judged(given, TABLE) == [
        "master: warouter-login-coreapp is not said",
        "console: media is not said",
    ]
    assert judged({**given, "master": set(), "console": set(), "webapp": {OWN}}, TABLE) == [
        f"webapp: {META} is said and not given"
    ]
