"""The user data of each kind of stack: its form, its size, and a script that a shell reads."""

from __future__ import annotations

import itertools
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.template import Resolver, load
from tests.deploy.userdata import LIMIT, STACKS, arn, rendered

JOIN = "/usr/local/sbin/warouter-join"

UPSTREAMS = {
    "simulator": {"Upstream": "simulator", "SimulatorHost": "10.0.0.9"},
    "cloud": {
        "Upstream": "cloud",
        "CloudPhoneNumberId": "106540352242922",
        "CloudAccountId": "102290129340398",
        "CloudSecret": arn("Cloud"),
    },
}
MEDIA = {"s3": {"MediaUrl": "s3://example-media/wa"}, "efs": {}}
PACKAGE = {"PackageUrl": "https://example.com/warouter.deb", "PackageSha256": "0" * 64}


@pytest.mark.parametrize(("upstream", "media"), list(itertools.product(UPSTREAMS, MEDIA)))
def test_each_stack_has_a_script_that_a_shell_reads(upstream, media):
    text = _text(upstream, media)
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) < LIMIT
    assert re.findall(r"<\w+>|\$\{\w+", text) == []
    files = _files(text)
    assert {one["permissions"] for one in files.values()} == {"0600", "0700"}
    subprocess.run(["sh", "-n"], input=files[JOIN]["content"], text=True, check=True)
    assert "password=" not in text


@pytest.mark.parametrize(("upstream", "media"), list(itertools.product(UPSTREAMS, MEDIA)))
def test_only_who_needs_s3_reaches_the_rights_of_the_machine(upstream, media, tmp_path):
    script = _files(_text(upstream, media))[JOIN]["content"]
    loop = "for kind in" + script.split("for kind in", 1)[1].split("\nunits=", 1)[0]
    here = f"secrets=/run/warouter/secrets\n{loop}".replace("/etc/systemd/system", str(tmp_path))
    subprocess.run(["sh", "-eu"], input=here, text=True, check=True)
    found = {path.parent.name: path.read_text() for path in tmp_path.glob("*/aws.conf")}
    assert len(found) == 3
    for unit, text in found.items():
        asks = media == "s3" and "master" not in unit
        assert ("IPAddressDeny=169.254.169.254 fd00:ec2::254\n" in text) is not asks, unit
        kind = unit.removeprefix("warouter-").partition("@")[0]
        assert re.findall(r"/secrets/(\w+)\.password", text) == [kind]


def test_machines_come_after_their_file_system_and_reach_no_other_folder_of_a_bucket():
    template = load("enterprise")
    resources = template["Resources"]
    for media, there in (("efs", True), ("s3", False)):
        values = {**STACKS, **MEDIA[media], "EnvType": "production"}
        resolver = Resolver(template, values, {"AWS::Partition": "aws", "AWS::NoValue": ""})
        tags = str(resolver.resolve(resources["Group"]["Properties"]["Tags"]))
        assert all((f"<MountTarget{zone}>" in tags) is there for zone in (1, 2, 3)), tags
    rights = str(resolver.resolve(resources["Role"]["Properties"]["Policies"]))
    assert re.findall(r"arn:aws:s3:::[^']*", rights) == [
        "arn:aws:s3:::example-media/wa/*",
        "arn:aws:s3:::example-media",
    ]


def _text(upstream: str, media: str) -> str:
    return rendered(
        {
            "ApiName": "wa.example.com",
            "CertificateSecret": arn("Certificate"),
            **PACKAGE,
            **UPSTREAMS[upstream],
            **MEDIA[media],
        },
        database="db.example.com",
        FileSystem="fs-0",
        AccessPoint="fsap-0",
    )


def _files(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text)
    assert found["runcmd"] == [[JOIN]]
    return {one["path"]: one for one in found["write_files"]}
