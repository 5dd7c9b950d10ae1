"""The user data of deploy/aws/enterprise.yml: what cloud-init of a new machine gets."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.template import Resolver, load

JOIN = "/usr/local/sbin/warouter-join"
LIMIT = 16 * 1024  # EC2's, before base64
# What belongs to the other stacks, under the names that their exports have.
SECRETS = (
    "AdminSecret",
    "WebappSecret",
    "CoreappSecret",
    "MasterSecret",
    "ConsoleSecret",
    "ReaderSecret",
    "WebConsoleSecret",
    "ApiSecret",
    "ApiKey",
)
TARGET = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/warouter/0"
STACKS = {"NetworkStack": "network", "DatabaseStack": "database", "LambdaStack": "lambda"}


def arn(name: str) -> str:
    """An ARN for a secret, in the form that AWS gives them."""
    return f"arn:aws:secretsmanager:eu-central-1:111122223333:secret:{name}"


def rendered(
    parameters: Mapping[str, str], *, database: str, port: int = 5432, **others: str
) -> str:
    """The user data for these parameters, with a PostgreSQL there.

    The secrets have the ARNs ``arn(NAME)`` of ``SECRETS``; ``CertificateSecret`` is a parameter.
    ``others``: resources of the stack by their name, such as ``FileSystem``.
    """
    exports = {f"database-{name}": arn(name) for name in SECRETS}
    exports |= {"database-Address": database, "database-Port": str(port)}
    known = {
        "AWS::StackName": "warouter",
        "AWS::Region": "eu-central-1",
        "ApiTarget": TARGET,
        "MediaKey": "AKIA0123456789ABCDEF",
        "MediaSecret": arn("Media"),
        **exports,
        **others,
    }
    template = load("enterprise")
    launch = template["Resources"]["Template"]["Properties"]["LaunchTemplateData"]
    text: str = Resolver(template, {**STACKS, **parameters}, known).resolve(launch["UserData"])
    assert len(text.encode()) <= LIMIT, f"the user data has {len(text.encode())} bytes"
    return text


def files(text: str) -> dict[str, Any]:
    """What the user data writes, by path."""
    found = yaml.safe_load(text)
    assert found["runcmd"] == [[JOIN]]
    return {one["path"]: one for one in found["write_files"]}


def drop_ins(text: str, folder: Path) -> dict[str, str]:
    """The units' drop-ins as the script of the user data writes them, by kind of process."""
    script = files(text)[JOIN]["content"]
    loop = "for kind in" + script.split("for kind in", 1)[1].split("\nunits=", 1)[0]
    here = f"secrets=/run/warouter/secrets\n{loop}".replace("/etc/systemd/system", str(folder))
    subprocess.run(["sh", "-eu"], input=here, text=True, check=True)
    found = {path.parent.name: path.read_text() for path in folder.glob("*/aws.conf")}
    return {name.removeprefix("warouter-").partition("@")[0]: found[name] for name in found}
