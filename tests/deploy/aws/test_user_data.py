"""The user data of each kind of stack: its form, its size, and a script that a shell reads."""

from __future__ import annotations

import itertools
import re
import subprocess

import pytest
import yaml

from tests.deploy.userdata import LIMIT, arn, rendered

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
    text = rendered(
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
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) < LIMIT
    assert re.findall(r"<\w+>|\$\{\w+", text) == []
    found = yaml.safe_load(text)
    files = {one["path"]: one for one in found["write_files"]}
    assert {one["permissions"] for one in files.values()} == {"0600", "0700"}
    script = files[found["runcmd"][0][0]]["content"]
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert "password=" not in text
