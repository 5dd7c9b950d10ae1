"""An account at AWS: ministack, which carries out the templates of deploy/aws in this namespace.

It keeps what it was told of machines and databases, and starts none. What it cannot be asked, such
as who reaches whom, is in the last table of docs/aws.md.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.deploy import network
from tests.deploy.imds import REGION
from tests.deploy.network import HOST
from tests.deploy.template import FOLDER
from tests.harness.wait import soon

PORT = 4566
URL = f"http://{HOST}:{PORT}"
IMAGE = "/warouter/test/image"
START_SECONDS = 120.0
STACK_SECONDS = 300.0
LOOK_SECONDS = 0.2


class Account:
    """``stacks`` are created, updated and deleted by the names of their templates."""

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=URL,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def __init__(self) -> None:
        self.stacks = self.client("cloudformation")
        self.secrets = self.client("secretsmanager")

    # stacks

    def create(self, name: str, parameters: Mapping[str, str]) -> None:
        """Begin to; ``until`` waits for it."""
        self.stacks.create_stack(
            StackName=name,
            TemplateBody=(FOLDER / f"{name}.yml").read_text(),
            Parameters=_listed(parameters),
            Capabilities=["CAPABILITY_IAM"],
        )

    def update(self, name: str, parameters: Mapping[str, str]) -> None:
        self.stacks.update_stack(
            StackName=name,
            TemplateBody=(FOLDER / f"{name}.yml").read_text(),
            Parameters=_listed(parameters),
            Capabilities=["CAPABILITY_IAM"],
        )

    async def until(self, name: str, *wanted: str) -> dict[str, Any]:
        """The stack once its status is one of these; fails with its events if it ends otherwise."""
        give_up = time.monotonic() + STACK_SECONDS
        while True:
            (stack,) = (await asyncio.to_thread(self.stacks.describe_stacks, StackName=name))[
                "Stacks"
            ]
            status = stack["StackStatus"]
            if status in wanted:
                return dict(stack)
            running = status.endswith("_IN_PROGRESS") and time.monotonic() < give_up
            assert running, f"{name} is {status}: {self.failures(name)}"
            await asyncio.sleep(LOOK_SECONDS)

    async def created(self, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """Its outputs."""
        self.create(name, parameters)
        return outputs(await self.until(name, "CREATE_COMPLETE"))

    async def updated(self, name: str, parameters: Mapping[str, str]) -> dict[str, str]:
        self.update(name, parameters)
        return outputs(await self.until(name, "UPDATE_COMPLETE"))

    async def deleted(self, name: str) -> None:
        """Until nothing of it is left."""
        self.stacks.delete_stack(StackName=name)
        while True:
            try:
                (stack,) = self.stacks.describe_stacks(StackName=name)["Stacks"]
            except ClientError as error:
                if "does not exist" not in str(error):
                    raise
                return
            if stack["StackStatus"] == "DELETE_COMPLETE":
                return
            assert stack["StackStatus"] == "DELETE_IN_PROGRESS", self.failures(name)
            await asyncio.sleep(LOOK_SECONDS)

    def failures(self, name: str) -> list[str]:
        """What its events say of failures, the newest first."""
        events = self.stacks.describe_stack_events(StackName=name)["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
        ]

    def resource(self, stack: str, name: str) -> str:
        """Its physical id."""
        found = self.stacks.describe_stack_resource(StackName=stack, LogicalResourceId=name)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def has(self, stack: str, name: str) -> bool:
        """Whether it has made this resource already."""
        try:
            return bool(self.resource(stack, name))
        except ClientError:
            return False

    # what the stack of enterprise.yml made

    def group(self) -> dict[str, Any]:
        """The Auto Scaling group."""
        name = self.resource("enterprise", "Group")
        groups = self.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[name]
        )
        (found,) = groups["AutoScalingGroups"]
        return dict(found)

    def user_data(self) -> str:
        """Of the newest version of the launch template, as a new machine gets it."""
        versions = self.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=self.resource("enterprise", "Template")
        )["LaunchTemplateVersions"]
        newest = max(versions, key=lambda version: version["VersionNumber"])
        return base64.b64decode(newest["LaunchTemplateData"]["UserData"]).decode()

    async def balancer(self) -> str:
        """The load balancer's name in the DNS, once there is one."""
        client = self.client("elbv2")
        found: list[dict[str, str]] = []

        async def made() -> bool:
            found[:] = client.describe_load_balancers()["LoadBalancers"]
            await asyncio.sleep(LOOK_SECONDS)
            return bool(found)

        await soon(made, STACK_SECONDS)
        return found[0]["DNSName"]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Account]:
    """An account without stacks; it ends with this."""
    network.make()
    environment = {
        **os.environ,
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(PORT),
        "MINISTACK_HOST": HOST,
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
        # Where the function finds its secret.
        "AWS_ENDPOINT_URL": URL,
    }
    program = Path(sys.executable).with_name("ministack")
    with (folder / "ministack.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(program), env=environment, stdout=log, stderr=log, cwd=folder
        )
    try:
        account = Account()
        await _answers(account)
        account.client("ssm").put_parameter(
            Name=IMAGE, Value="ami-0123456789abcdef0", Type="String"
        )
        yield account
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)  # it would wait for functions that run
        await process.wait()


async def _answers(account: Account) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            account.stacks.list_stacks()
            return
        except (ClientError, EndpointConnectionError):
            assert time.monotonic() < give_up, "ministack does not answer"
            await asyncio.sleep(LOOK_SECONDS)


def outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}


def _listed(parameters: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
