"""The user data of each kind of stack: its form, its size, and a script that a shell reads."""

from __future__ import annotations

import itertools
import re
import subprocess

import pytest

from tests.deploy.template import Resolver, load
from tests.deploy.userdata import JOIN, LIMIT, STACKS, arn, drop_ins, files, rendered

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
    found = files(text)
    assert {one["permissions"] for one in found.values()} == {"0600", "0700"}
    subprocess.run(["sh", "-n"], input=found[JOIN]["content"], text=True, check=True)
    assert "password=" not in text


@pytest.mark.parametrize(("upstream", "media"), list(itertools.product(UPSTREAMS, MEDIA)))
def test_no_process_reaches_the_rights_of_the_machine(upstream, media, tmp_path):
    """The machine's role may read every secret, the administrator's too."""
    found = drop_ins(_text(upstream, media), tmp_path)
    assert sorted(found) == ["coreapp", "master", "webapp"]
    for kind, text in found.items():
        assert "IPAddressDeny=169.254.169.254 fd00:ec2::254\n" in text, kind
        assert re.findall(r"/secrets/(\w+)\.password", text) == [kind]
        asks = media == "s3" and kind != "master"
        assert ("LoadCredential=media-key:/run/warouter/secrets/media-key\n" in text) is asks, kind


def test_machines_come_after_their_file_system_and_reach_no_other_folder_of_a_bucket():
    template = load("enterprise")
    resources = template["Resources"]
    for media, there in (("efs", True), ("s3", False)):
        values = {**STACKS, **MEDIA[media], "EnvType": "production"}
        resolver = Resolver(template, values, {"AWS::Partition": "aws", "AWS::NoValue": ""})
        tags = str(resolver.resolve(resources["Group"]["Properties"]["Tags"]))
        assert all((f"<MountTarget{zone}>" in tags) is there for zone in (1, 2, 3)), tags
    assert "s3" not in str(resolver.resolve(resources["Role"]["Properties"]["Policies"]))
    rights = str(resolver.resolve(resources["MediaUser"]["Properties"]["Policies"]))
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
