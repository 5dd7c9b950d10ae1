"""Machines as deploy/aws has them: its user data, by cloud-init's Ec2 data source.

The image that they boot is a Debian that knows the WhatsApp side and the business of the site, and
has a file system in EFS's place. What is AWS about them answers on 169.254.169.254.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.deploy import imds, network, userdata
from tests.deploy.database import AUTHORITY
from tests.deploy.doors import CloudDoor, Door
from tests.deploy.installed import API_KEY
from tests.deploy.machine import Machine
from tests.deploy.network import HOST, NETWORK
from tests.deploy.site import SERVED, Site
from tests.harness.certificates import issued, text_of
from warouter.local import cloud_emulator
from warouter.local.cluster import SAMPLE

ACTIVE_COREAPPS, EACH = "4", 2  # of the template's table
ADMIN_PASSWORD = "Sites-have-0ne!"
MOST_MACHINES = 20
_CERTIFICATE, _CLOUD = userdata.arn("Certificate"), userdata.arn("Cloud")
# In the place of amazon-efs-utils.
_EFS = """#!/bin/sh
set -eu
install -d -o warouter -g warouter -m 0700 /var/lib/efs
mount --bind /var/lib/efs "$2"
"""


class Instances:
    """``prepare`` is for ``Site.prepare``."""

    def __init__(self, site: Site, metadata: imds.Imds) -> None:
        self._site = site
        self._imds = metadata
        self._text = userdata.rendered(
            _parameters(site), database=HOST, FileSystem="fs-0", AccessPoint="fsap-0"
        )
        metadata.secrets |= _secrets(site)

    @property
    def signals(self) -> dict[str, str]:
        """What instances told their stack, by their id."""
        return self._imds.signals

    def prepare(self, machine: Machine) -> None:
        self._imds.prepare(machine, self._text)
        give_image(machine, self._site.door)


def give_image(machine: Machine, door: Door) -> None:
    """What the image of a site has, beside Debian."""
    machine.write("/sbin/mount.efs", _EFS, 0o755)
    variables = {
        "WAROUTER_WEBHOOK_ALLOW_HTTP": "1",
        "WAROUTER_ALLOW_PRIVATE": f"{NETWORK}.0/24",
        "SSL_CERT_FILE": AUTHORITY,
        **door.variables,
    }
    lines = ["[Service]", *(f"Environment={n}={text}" for n, text in variables.items())]
    for kind in ("webapp", "coreapp", "master"):
        place = f"/etc/systemd/system/warouter-{kind}@.service.d/image.conf"
        machine.write(place, "\n".join(lines) + "\n")


@asynccontextmanager
async def instances(site: Site) -> AsyncIterator[Instances]:
    """With a metadata service in the network of the site."""
    network.also(imds.ADDRESS)
    with imds.Imds() as metadata:
        yield Instances(site, metadata)


def _parameters(site: Site) -> dict[str, str]:
    authority = site.served / "authority.pem"
    authority.write_text(text_of(site.authority))
    return {
        "EnvType": "production",
        "ActiveCoreapps": ACTIVE_COREAPPS,
        "PackageUrl": f"{SERVED}/{site.package.name}",
        "PackageSha256": hashlib.sha256(site.package.read_bytes()).hexdigest(),
        "AuthorityUrl": f"{SERVED}/{authority.name}",
        "AuthoritySha256": hashlib.sha256(authority.read_bytes()).hexdigest(),
        "ApiName": HOST,
        "CertificateSecret": _CERTIFICATE,
        "CountryCode": SAMPLE.cc,
        "PhoneNumber": SAMPLE.phone_number,
        **_upstream(site.door),
    }


def _upstream(door: Door) -> dict[str, str]:
    if not isinstance(door, CloudDoor):
        return {"Upstream": "simulator", "SimulatorHost": HOST}
    return {
        "Upstream": "cloud",
        "CloudPhoneNumberId": cloud_emulator.PHONE_NUMBER_ID,
        "CloudAccountId": cloud_emulator.WABA_ID,
        "CloudSecret": _CLOUD,
    }


def _secrets(site: Site) -> dict[str, str]:
    """Texts by ARN, in the form that the stacks give them."""
    passwords = site.database.passwords
    pair = issued(
        site.authority, name=HOST, also=[f"{NETWORK}.{n}" for n in range(2, MOST_MACHINES)]
    )
    found = {
        "AdminSecret": json.dumps({"password": passwords["admin"]}),
        "WebappSecret": passwords["webapp"],
        "CoreappSecret": passwords["coreapp"],
        "MasterSecret": passwords["master"],
        "ConsoleSecret": passwords["console"],
        "ReaderSecret": passwords["reader"],
        "WebConsoleSecret": passwords["web_console"],
        "ApiSecret": json.dumps({"password": ADMIN_PASSWORD}),
        "ApiKey": API_KEY,
    }
    texts = {userdata.arn(name): text for name, text in found.items()}
    texts[_CERTIFICATE] = json.dumps({"certificate": pair.pem, "key": pair.key})
    if isinstance(site.door, CloudDoor):
        names = ("TOKEN", "APP_SECRET", "VERIFY_TOKEN")
        texts[_CLOUD] = json.dumps({name.lower(): site.door.secret(name) for name in names})
    return texts
