"""Claims: the newest wins, an equal one of another incarnation is a conflict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.simulator.fence import Fence, Standing, Verdict

SLOT = 7


def fence_at(epoch: int, incarnation: str, holder: str) -> Fence[str]:
    fence: Fence[str] = Fence()
    assert fence.claim(SLOT, epoch, incarnation, holder) is Verdict.GRANTED
    return fence


@pytest.mark.parametrize(
    ("epoch", "incarnation", "holder", "standing"),
    [
        (5, "a", "first", Standing.HOLDS),
        (4, "a", "first", Standing.STALE),
        (6, "a", "first", Standing.UNCLAIMED),
        (5, "a", "other", Standing.UNCLAIMED),
        (5, "b", "other", Standing.STALE),
        (6, "b", "other", Standing.STALE),
        (4, "b", "other", Standing.STALE),
    ],
)
def test_standing_under_epoch_5_of_a(
    epoch: int, incarnation: str, holder: str, standing: Standing
) -> None:
    assert fence_at(5, "a", "first").standing(SLOT, epoch, incarnation, holder) is standing


def test_nobody_holds_what_was_never_claimed() -> None:
    fence: Fence[str] = Fence()
    assert fence.standing(SLOT, 1, "a", "first") is Standing.UNCLAIMED
    assert (fence.seen(SLOT), fence.holder(SLOT), fence.held()) == (0, None, {})


def test_release_leaves_the_epoch() -> None:
    fence = fence_at(5, "a", "first")
    assert not fence.release(SLOT, 4, "first")
    assert not fence.release(SLOT, 5, "other")
    assert fence.held() == {SLOT: 5}
    assert fence.release(SLOT, 5, "first")
    assert fence.held() == {}
    assert fence.claim(SLOT, 5, "b", "second") is Verdict.CONFLICT
    assert fence.claim(SLOT, 4, "a", "first") is Verdict.BELOW
    assert fence.claim(SLOT, 5, "a", "first") is Verdict.GRANTED


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from("ab"), st.sampled_from("xyz"))))
def test_the_seen_epoch_never_falls_and_belongs_to_one_incarnation(
    claims: list[tuple[int, str, str]],
) -> None:
    fence: Fence[str] = Fence()
    owners: dict[int, str] = {}
    for epoch, incarnation, holder in claims:
        before = fence.seen(SLOT)
        if fence.claim(SLOT, epoch, incarnation, holder) is Verdict.GRANTED:
            assert epoch >= before
            assert owners.setdefault(epoch, incarnation) == incarnation
            assert fence.standing(SLOT, epoch, incarnation, holder) is Standing.HOLDS
        else:
            assert fence.seen(SLOT) == before
