"""The judge's numbers."""

from hypothesis import given
from hypothesis import strategies as st

from warouter.lab.simulator import record as simulator_record
from warouter.lab.simulator.record import Record


def arrive(record: Record, seqs: list[int], to: str = "491511234567") -> None:
    for place, seq in enumerate(seqs):
        record.arrived(float(place), 3, 1, seq, f"{to}-{place}", to)


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("ab"))))
def test_inversions_are_those_a_slow_count_finds(sends: list[tuple[int, str]]) -> None:
    """A seq below an earlier one of its recipient."""
    record = Record()
    for place, (seq, to) in enumerate(sends):
        record.arrived(float(place), 3, 1, seq, f"{place}", to)
    slow = sum(
        any(e > seq and of == to for e, of in sends[:n]) for n, (seq, to) in enumerate(sends)
    )
    assert record.counters.inversions == slow
    assert record.counters.unique == record.counters.received == len(sends)


def test_arrivals_since() -> None:
    record = Record()
    arrive(record, [1, 2, 3])
    assert [arrival[0] for arrival in record.arrivals(float("-inf"))] == [0.0, 1.0, 2.0]
    assert record.arrivals(1.0) == [(2.0, 3, "491511234567-2", 1)]


def test_the_ring_of_arrivals_is_bounded() -> None:
    record = Record()
    for seq in range(simulator_record.ARRIVALS + 3):
        record.arrived(float(seq), 3, 1, seq, "same", "491511234567")
    arrivals = record.arrivals(float("-inf"))
    assert len(arrivals) == simulator_record.ARRIVALS
    assert arrivals[0][0] == 3.0


def test_forget_starts_anew() -> None:
    record = Record()
    arrive(record, [5])
    record.marked("x")
    record.forget()
    arrive(record, [1])
    counters = record.counters
    assert (counters.unique, counters.inversions, counters.read_marks) == (1, 0, 0)
    assert record.ids() == {"491511234567": ["491511234567-0"]}
    assert record.marks() == []
    assert len(record.arrivals(float("-inf"))) == 1
