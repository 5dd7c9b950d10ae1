"""The switches: defaults, what may be set, and that each is explained."""

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest

from warouter.lab.simulator.faults import Faults, described

SIMULATOR = Path(__file__).parents[4] / "src" / "warouter" / "lab" / "simulator"


def test_by_default_nothing_goes_wrong() -> None:
    faults = Faults()
    assert faults.delays == (0.02, 0.06, 0.15)
    assert faults.all_statuses
    ordinary = {"sent_ms", "delivered_ms", "read_ms", "sent", "delivered", "read", "throttle_ms"}
    on = {name for name, value in msgspec.structs.asdict(faults).items() if value}
    assert on == ordinary


def test_changed_sets_what_is_named_and_leaves_the_rest() -> None:
    faults = Faults(repeat=0.5).changed({"reorder": 0.25, "unknown": ["491511234567"]})
    assert faults == Faults(repeat=0.5, reorder=0.25, unknown=("491511234567",))


@pytest.mark.parametrize(
    "switches",
    [
        {"no_such_switch": 1},
        {"repeat": 1.5},
        {"repeat": -0.1},
        {"repeat": "0.5"},
        {"repeat": None},
        {"sent_ms": -1},
        {"sent_ms": 100},
        {"read_ms": 10},
        {"rate": -1},
        {"pause": 1},
        {"unknown": "491511234567"},
        {"unknown": ["+491511234567"]},
        {"unknown": ["no number"]},
        {"latency_ms": 10**9},
        {"templates": {"promo": 470}},
        {"templates": {"promo": "2061"}},
        {"templates": ["promo"]},
        {"blocked": ["+491511234567"]},
        {"experiment": ["x"]},
        {"tier": -1},
        {"spam": 2},
    ],
)
def test_bad_switches_are_refused(switches: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        Faults().changed(switches)


@pytest.mark.parametrize(
    "switches", [{"sent": 0.5}, {"delivered": 0}, {"read": 0.9}, {"failed": 0.1}, {"reorder": 1}]
)
def test_any_ratio_of_statuses_has_to_be_drawn(switches: dict[str, Any]) -> None:
    assert not Faults().changed(switches).all_statuses


def test_every_switch_is_read_somewhere() -> None:
    trees = [ast.parse(file.read_text()) for file in SIMULATOR.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    unread = [name for name in Faults.__struct_fields__ if name not in read]
    assert unread == [], "nothing in src/warouter/lab/simulator reads these"


def test_every_switch_is_described() -> None:
    descriptions = described()
    assert [name for name, _, _ in descriptions] == [f.name for f in msgspec.structs.fields(Faults)]
    assert all(len(description) > 10 for _, _, description in descriptions)
