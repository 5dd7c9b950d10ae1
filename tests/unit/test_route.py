"""The address that `auto` stands for: of several database hosts, of none, on this host."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from warouter.cli.nodes import placed
from warouter.config import load
from warouter.errors import CommandError
from warouter.net import route
from warouter.net.route import NoRoute, own_address

ADDRESSES = {"db": "10.0.0.11", "other": "10.1.0.11", "localhost": "127.0.0.1"}


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """By host; one that is not there does not resolve."""

    def towards(host: str, _port: int) -> str:
        if host not in ADDRESSES:
            raise socket.gaierror(-2, "Name or service not known")
        return ADDRESSES[host]

    monkeypatch.setattr(route, "_towards", towards)


@pytest.mark.parametrize(
    ("hosts", "address"),
    [
        (["db"], "10.0.0.11"),
        (["other", "db"], "10.1.0.11"),
        (["gone", "db"], "10.0.0.11"),
        (["localhost", "/run/postgresql", "db"], "10.0.0.11"),
        (["localhost"], "127.0.0.1"),
        (["/run/postgresql"], "127.0.0.1"),
    ],
)
def test_the_first_host_beyond_this_one_tells(hosts: list[str], address: str) -> None:
    assert own_address([(host, 5432) for host in hosts]) == address


@pytest.mark.parametrize("hosts", [["gone"], ["localhost", "gone"]])
def test_loopback_is_no_guess_for_a_name_that_does_not_resolve(hosts: list[str]) -> None:
    """The others could not reach this host, and nothing would say why."""
    with pytest.raises(NoRoute, match="gone: Name or service not known"):
        own_address([(host, 5432) for host in hosts])


def test_the_sentence_names_variable_host_and_remedy() -> None:
    settings = load({"WA_DB_HOSTNAME": "gone", "COREAPP_HOSTNAME": "auto"})
    with pytest.raises(CommandError) as caught:
        placed(settings, "coreapp")
    assert str(caught.value) == (
        "COREAPP_HOSTNAME is auto, and no host of WA_DB_HOSTNAME tells this host's address"
        " (gone: Name or service not known): correct WA_DB_HOSTNAME, or set COREAPP_HOSTNAME to"
        " the address of this host that the others reach."
    )


def test_only_the_address_of_this_role_is_looked_for() -> None:
    both = {"WEBAPP_HOSTNAME": "auto", "COREAPP_HOSTNAME": "auto", "WA_DB_HOSTNAME": "db"}
    settings = load(both)
    assert placed(settings, "webapp").webapp_hostname == "10.0.0.11"
    assert placed(settings, "webapp").coreapp_hostname == "auto"
    assert placed(settings, "coreapp").coreapp_hostname == "10.0.0.11"
    assert placed(settings, "master") is settings
    told = load({"COREAPP_HOSTNAME": "10.9.9.9"})
    assert placed(told, "coreapp") is told


IN_A_NETWORK = """
ip link set lo up
ip link add one type veth peer name two
ip address add 10.99.1.7/24 dev one && ip link set one up
ip address add 10.99.2.7/24 dev two && ip link set two up
"$0" -c '
from warouter.net.route import own_address, NoRoute
print(own_address([("10.99.2.1", 5432), ("10.99.1.1", 5432)]))
print(own_address([("10.99.3.1", 5432), ("10.99.1.1", 5432)]))
print(own_address([("10.99.1.7", 5432)]))
try:
    own_address([("10.99.3.1", 5432)])
except NoRoute as error:
    print(error)
'
"""


@pytest.mark.program("ip")
def test_the_kernel_knows_the_route() -> None:
    alone = ["unshare", "-r", "-n"]
    if subprocess.run([*alone, "ip", "link", "add", "x", "type", "veth"]).returncode:
        pytest.skip("not run (needs a network namespace that unshare can make)")
    script = [*alone, "sh", "-euc", IN_A_NETWORK, sys.executable]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "10.99.2.7",
        "10.99.1.7",
        "10.99.1.7",  # its own: the database is on this host, and others reach it
        "10.99.3.1: Network is unreachable",
    ]
