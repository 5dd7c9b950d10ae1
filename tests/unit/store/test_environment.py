"""The variables of processes beside each other: what is set, by whom, and where they differ."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from warouter import variables
from warouter.store.views.setup.environment import (
    HIDDEN,
    OWN,
    ProcessEnvironment,
    VariableValues,
    compared,
)

NAMES = [variable.name for group in variables.GROUPS for variable in group.variables]
ROLES = ("webapp", "coreapp", "master")
EARLY, LATE = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2))


def process(node: str, role: str = "coreapp", **given: str) -> ProcessEnvironment:
    return ProcessEnvironment(node, role, given, EARLY)


def variable(name: str, *processes: ProcessEnvironment) -> VariableValues:
    [found] = [each for each in compared(processes).variables if each.name == name]
    return found


def test_unset_variables_are_at_their_default() -> None:
    found = variable("WAROUTER_LEASE", process("a"), process("b", "webapp"))
    [value] = found.values
    assert (found.default, found.unit, found.differs) == ("1.5", "seconds", False)
    assert (value.value, value.source, value.nodes) == ("1.5", "default", ["a", "b"])


def test_a_variable_set_to_its_default_does_not_differ_from_an_unset_one() -> None:
    found = variable("WAROUTER_LEASE", process("a", WAROUTER_LEASE="1.5"), process("b"))
    assert not found.differs
    assert [value.source for value in found.values] == ["environment"]


def test_processes_that_should_have_the_same_and_do_not() -> None:
    late = ProcessEnvironment("b", "coreapp", {"WAROUTER_LEASE": "3"}, LATE)
    found = variable("WAROUTER_LEASE", process("a"), late, process("c"))
    assert found.differs
    assert [(value.value, value.nodes) for value in found.values] == [
        ("1.5", ["a", "c"]),
        ("3", ["b"]),
    ]
    assert found.values[1].since == LATE


def test_variables_a_role_does_not_read_make_no_difference() -> None:
    found = variable(
        "WAROUTER_JSON_LIMIT", process("a", "webapp", WAROUTER_JSON_LIMIT="2048"), process("b")
    )
    assert not found.differs
    assert [value.nodes for value in found.values] == [["a"]]


def test_variables_of_one_process_may_differ() -> None:
    found = variable("WAROUTER_NODE", process("a", WAROUTER_NODE="a"), process("b"))
    assert len(found.values) == 2
    assert not found.differs


def test_of_a_hidden_value_it_is_known_only_that_it_is_set() -> None:
    found = variable(
        "WA_API_KEY", process("a", "webapp", WA_API_KEY=HIDDEN), process("b", "webapp")
    )
    assert found.secret
    assert found.differs
    hidden = next(value for value in found.values if value.hidden)
    assert (hidden.value, hidden.source, hidden.nodes) == ("", "environment", ["a"])


@given(st.dictionaries(st.sampled_from(NAMES), st.text("abc123", min_size=1), max_size=9))
def test_no_secret_is_shown_whatever_is_reported(said: dict[str, str]) -> None:
    """Not even of a process that reports one."""
    for each in compared([ProcessEnvironment("a", role, said) for role in ROLES]).variables:
        if each.secret:
            assert {value.value for value in each.values} <= {"", each.default}


@given(st.lists(st.tuples(st.sampled_from(ROLES), st.sampled_from(("", "1", "2"))), max_size=6))
def test_each_process_that_reads_a_variable_stands_at_one_value(
    given_: list[tuple[str, str]],
) -> None:
    processes = [
        ProcessEnvironment(str(number), role, {"WAROUTER_LEASE": value} if value else {})
        for number, (role, value) in enumerate(given_)
    ]
    found = variable("WAROUTER_LEASE", *processes)
    nodes = [node for value in found.values for node in value.nodes]
    assert sorted(nodes) == sorted(each.node for each in processes)
    assert found.differs == (len({value or "1.5" for _, value in given_}) > 1)


def test_every_name_that_may_differ_is_a_variable() -> None:
    assert set(NAMES) >= OWN
