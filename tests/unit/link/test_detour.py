"""Through whom a message goes while there is no link to its owner."""

from __future__ import annotations

from random import Random
from uuid import UUID

from warouter.link.detour import BARREN_SECONDS, Detours

A, B, C = (UUID(int=n) for n in range(1, 4))
LATER = 100.0


def cut_off(owner: UUID = A) -> Detours:
    detours = Detours(Random(1))
    detours.down(owner, LATER)
    return detours


def test_a_link_that_is_down_for_a_moment_is_waited_for() -> None:
    detours = cut_off()
    assert detours.via(A, [B, C], LATER - 0.01) is None
    assert detours.unreached(LATER - 0.01) == []
    assert detours.via(A, [B], LATER) == B
    assert detours.unreached(LATER) == [A]


def test_a_link_that_is_down_again_and_again_has_been_so_since_the_first_time() -> None:
    detours = cut_off()
    detours.down(A, LATER + 1)
    assert detours.unreached(LATER) == [A]


def test_an_owner_with_a_link_needs_no_detour() -> None:
    detours = cut_off()
    detours.up(A)
    assert detours.via(A, [B, C], LATER) is None
    assert detours.unreached(LATER) == []


def test_one_way_is_kept_while_it_leads_there() -> None:
    detours = cut_off()
    first = detours.via(A, [A, B, C], LATER)
    assert first in (B, C)
    assert {detours.via(A, [C, B], LATER) for _ in range(20)} == {first}
    other = C if first == B else B
    assert detours.via(A, [other], LATER) == other


def test_a_coreapp_that_did_not_reach_the_owner_is_left_out_for_a_while() -> None:
    detours = cut_off()
    detours.failed(A, B, LATER)
    assert detours.via(A, [B, C], LATER) == C
    detours.failed(A, C, LATER)
    assert detours.via(A, [B, C], LATER) is None
    assert detours.via(A, [B], LATER + BARREN_SECONDS) == B


def test_nothing_of_a_coreapp_that_is_gone_is_kept() -> None:
    detours = cut_off()
    detours.failed(A, B, LATER)
    detours.failed(C, A, LATER)
    detours.forget(A)
    assert detours.unreached(LATER) == []
    assert detours._barren == {}
