"""Which addresses must wait, from memory."""

from __future__ import annotations

from warouter.api.access.waits import MOST, Waits


def test_a_wait_ends_and_is_nobody_elses() -> None:
    waits = Waits()
    assert waits.left("a", 10.0) == 0
    waits.set("a", 30.0, 10.0)
    assert waits.left("a", 15.0) == 25.0
    assert waits.left("b", 15.0) == 0
    assert waits.left("a", 41.0) == 0
    waits.set("a", 60.0, 41.0)
    assert waits.left("a", 41.0) == 60.0


def test_no_number_of_addresses_fills_memory() -> None:
    waits = Waits()
    for n in range(3 * MOST):
        waits.set(f"{n}", 30.0, 0.0)
    assert len(waits) == MOST
    assert waits.left(f"{3 * MOST - 1}", 0.0) == 30.0
    assert waits.left("0", 0.0) == 0
