"""The switches of the Cloud door: defaults, what may be set, that each is explained and tried."""

import ast
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from warouter.lab.simulator.behaviour import Behaviour
from warouter.lab.simulator.cloud.faults import LISTS, TIMED, CloudFaults, described

TESTS = Path(__file__).parents[4]
SIMULATOR = TESTS.parent / "src" / "warouter" / "lab" / "simulator"
TRIED_IN = [
    *Path(__file__).parent.glob("*.py"),
    *(TESTS / "integration").glob("test_cloud_door_*.py"),
]


def test_by_default_it_behaves_as_meta_does() -> None:
    faults = CloudFaults()
    assert (faults.level, faults.pair_s, faults.pair_depth) == (80, 6.0, 45)
    assert not faults.troubles
    assert faults.all_statuses


def test_every_switch_is_described() -> None:
    assert all(len(description) > 10 for _, _, description in described())
    assert {name for name, _, _ in described()} == set(CloudFaults.__struct_fields__)


def test_every_switch_is_read_somewhere() -> None:
    files = [file for file in SIMULATOR.rglob("*.py") if "faults" not in file.name]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    read |= {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    unread = set(CloudFaults.__struct_fields__) - read
    assert unread - {"window", "identity_check"} == set(), "nothing reads these"


def test_every_switch_of_this_door_has_a_test_that_sets_it() -> None:
    text = "".join(file.read_text() for file in TRIED_IN if file != Path(__file__))
    own = set(CloudFaults.__struct_fields__) - set(Behaviour.__struct_fields__)
    untried = {name for name in own if not re.search(rf"\b{name}=", text)}
    assert untried == set()


def test_lists_are_the_switches_that_hold_several() -> None:
    fields = msgspec.structs.fields(CloudFaults)
    assert {field.name for field in fields if field.default == ()} == set(LISTS)
    assert set(TIMED) < set(CloudFaults.__struct_fields__)


@pytest.mark.parametrize(
    "switches",
    [
        {"no_such_switch": 1},
        {"drop_after": 1.5},
        {"level": -1},
        {"pair_depth": 0},
        {"latency_ms": 100, "latency_most_ms": 50},
        {"late_ms": 100, "late_least_ms": 200},
        {"withheld": ["+491511234567"]},
        {"withheld": "491511234567"},
        {"opaque": "sometimes"},
        {"errors": "never"},
        {"fail_after_as": "404"},
        {"batch": 1001},
        {"entries": 0},
        {"categories": {"promo": "SPAM"}},
        {"sent_ms": 100},
        {"failed_code": 0},
    ],
)
def test_bad_switches_are_refused(switches: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        CloudFaults().changed(switches)
