"""The four stacks as CloudFormation carries them out: sizes, order, failure, rollback, the end."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from trustme import CA

from tests.deploy import userdata
from tests.deploy.aws import named
from tests.deploy.aws.account import IMAGE, Account, outputs
from tests.deploy.aws.standin import StandIn
from tests.deploy.needs import unless
from tests.deploy.template import load
from tests.harness.certificates import issued, text_of
from tests.harness.wait import soon
from warouter.sizing.original import ORIGINALS
from warouter.tls import pem

pytestmark = [unless("ip"), pytest.mark.asyncio(loop_scope="session")]

NAME = "wa.example.com"


@pytest.fixture(scope="module")
def authority() -> CA:
    return CA()


@pytest.fixture(scope="module")
def cluster(authority: CA) -> Iterator[StandIn]:
    pair = issued(authority, name=NAME)
    with StandIn(pem.server_context(pair.pem + pair.key), coreapps=3) as found:
        yield found


@pytest.fixture(scope="module")
def parameters(authority: CA) -> dict[str, str]:
    return {
        **userdata.STACKS,
        "ActiveCoreapps": "2",
        "ApiName": NAME,
        "ApiAuthority": text_of(authority),
        "CertificateSecret": userdata.arn("Certificate"),
        "CountryCode": "1",
        "PhoneNumber": "6315550000",
        "Upstream": "simulator",
        "SimulatorHost": "10.0.0.9",
        "ImageId": IMAGE,
    }


@pytest_asyncio.fixture(loop_scope="session", scope="module", autouse=True)
async def stack(
    account: Account,
    cluster: StandIn,
    parameters: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[None]:
    """That of enterprise.yml: its function asks until the name of the balancer leads somewhere."""
    account.create("enterprise", parameters)
    named.here(await account.balancer(), tmp_path_factory.mktemp("names"))
    said = outputs(await account.until("enterprise", "CREATE_COMPLETE"))
    assert said["Shards"] == "2 shards."
    yield
    await account.deleted("enterprise")
    assert account.client("elbv2").describe_load_balancers()["LoadBalancers"] == []
    groups = account.client("autoscaling").describe_auto_scaling_groups()
    assert groups["AutoScalingGroups"] == []


async def test_a_new_stack_has_the_smallest_group_and_its_shards(account, cluster):
    group = account.group()
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (3, 3, 3)
    assert cluster.asked == [2]
    secret = account.secrets.get_secret_value(SecretId=account.resource("database", "ApiSecret"))
    login = json.loads(secret["SecretString"])
    pair = base64.b64decode(cluster.login.removeprefix("Basic ")).decode()
    assert pair == f"{login['username']}:{login['password']}"


async def test_to_32_and_back(account, cluster, parameters):
    cluster.asked.clear()
    account.update("enterprise", {**parameters, "ActiveCoreapps": "32"})
    await _machines_come(account, cluster, 15, coreapps=36)
    said = outputs(await account.until("enterprise", "UPDATE_COMPLETE"))
    group = account.group()
    assert (group["MinSize"], group["MaxSize"]) == (9, 15)
    assert "seq 4" in account.user_data()
    assert (cluster.asked, said["Shards"]) == ([32], "32 shards.")
    # Down, the first of the two has set them before the group shrank.
    await account.updated("enterprise", parameters)
    assert (account.group()["MinSize"], account.group()["MaxSize"]) == (3, 3)
    assert "seq 1" in account.user_data()
    assert cluster.asked == [32, 2]
    cluster.coreapps = 3
    assert _order(account) == ["ShardsBefore", "Group", "ShardsAfter"]


async def test_an_update_of_something_else_sets_no_shards(account, cluster, parameters):
    cluster.asked.clear()
    await account.updated("enterprise", {**parameters, "InstanceType": "m7i.xlarge"})
    await account.updated("enterprise", parameters)
    assert cluster.asked == []


async def test_shards_that_are_refused_roll_the_update_back(account, cluster, parameters):
    cluster.asked.clear()
    cluster.refused[8] = (400, "the pin is wrong")
    account.update("enterprise", {**parameters, "ActiveCoreapps": "8"})
    await _machines_come(account, cluster, 5, coreapps=12)
    await account.until("enterprise", "UPDATE_ROLLBACK_COMPLETE")
    assert cluster.asked[0] == 8
    assert set(cluster.asked[1:]) == {2}  # the rollback sends the old number
    assert cluster.shards == 2
    group = account.group()
    assert (group["MinSize"], group["MaxSize"]) == (3, 3)
    assert "8 shards were refused with 400: the pin is wrong" in account.failures("enterprise")[-1]


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: f"{original.rate}/s")
async def test_no_group_is_larger_than_the_original_was(original):
    size = load("enterprise")["Mappings"]["Size"][str(original.shards)]
    assert size["Most"] == original.older_machines


async def _machines_come(account: Account, cluster: StandIn, most: int, coreapps: int) -> None:
    """Nobody is told of shards before the group has changed, and before its machines are there."""
    await soon(lambda: account.group()["MaxSize"] == most)
    assert cluster.asked == []
    cluster.coreapps = coreapps


def _order(account: Account) -> list[str]:
    """In which the last update changed these."""
    events = account.stacks.describe_stack_events(StackName="enterprise")["StackEvents"]
    found: list[str] = []
    for event in events:  # the newest first
        if event["LogicalResourceId"] == "enterprise" and "IN_PROGRESS" in event["ResourceStatus"]:
            break
        if event["ResourceStatus"] == "UPDATE_COMPLETE":
            found.insert(0, event["LogicalResourceId"])
    return [name for name in found if name in ("ShardsBefore", "Group", "ShardsAfter")]
