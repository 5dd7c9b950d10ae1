"""Coreapps that live and are of no use: the faults meet what is there against them, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from uuid import UUID

import pytest

from tests.campaigns.simulation.cloud.faults import no_disk_for_issues, no_right_to_the_inbox
from tests.campaigns.simulation.cloud.world import CloudWorld
from tests.campaigns.simulation.faults import Faults, Kind
from tests.campaigns.simulation.nemeses import cannot_write
from tests.campaigns.simulation.owners import TROUBLES
from tests.campaigns.simulation.world import World, run
from tests.harness.patch import patched
from warouter.cluster.trouble import Trouble
from warouter.link.relay import Relay

SEEDS, SHARED_SEEDS = range(4), range(6)


def reasons(
    kind: Kind, seeds: Sequence[int] = SEEDS, world: type[World] = World
) -> Iterator[Set[str]]:
    """Why slots changed hands in each run in which nothing but this went wrong."""
    for seed in seeds:
        result = run(seed, kinds=(kind,), world=world)
        assert result.violations == [], seed
        yield {entry[5] for entry in result.trace if entry[1] == "owner"}


def test_an_owner_that_one_of_the_webapps_does_not_reach_is_reached_through_another() -> None:
    relayed = []
    on_relay = Relay.on_relay

    def counted(self: Relay, webapp: object, frame: object) -> None:
        relayed.append(frame)
        on_relay(self, webapp, frame)  # type: ignore[arg-type]

    with patched([(Relay, "on_relay", counted)]):
        assert len([*reasons(Faults.cut_owner_from_webapp)]) == len(SEEDS)
    assert relayed


def test_an_owner_that_no_webapp_reaches_is_relieved() -> None:
    assert all("unreachable" in found for found in reasons(Faults.cut_owner_from_webapps))


def test_an_owner_without_the_upstream_is_relieved() -> None:
    assert all("upstream" in found for found in reasons(Faults.cut_owner_from_upstream))


def test_an_owner_that_cannot_write_is_relieved() -> None:
    assert all("journal" in found for found in reasons(cannot_write))


@pytest.mark.parametrize(
    ("kind", "seeds"), [(no_disk_for_issues, (1, 2)), (no_right_to_the_inbox, (1, 2))]
)
def test_an_owner_that_cannot_issue_or_read_its_inbox_is_relieved(
    kind: Kind, seeds: Sequence[int]
) -> None:
    """By seeds in which some others can."""
    assert all("journal" in found for found in reasons(kind, seeds, CloudWorld))


def test_nothing_moves_when_nobody_has_the_upstream() -> None:
    for found in reasons(Faults.freeze_upstream, SHARED_SEEDS):
        assert not TROUBLES & found


def test_without_the_excuse_of_a_shared_loss_something_moves() -> None:
    observe = Trouble.observe
    stranger = UUID(int=1)  # lives and has no trouble, so that none is shared by all

    def strict(self: Trouble, gap: float, living: set[UUID], ailing: set[UUID]) -> None:
        observe(self, gap, living | {stranger}, ailing)

    with patched([(Trouble, "observe", strict)]):
        assert any("upstream" in found for found in reasons(Faults.freeze_upstream, SHARED_SEEDS))
