"""The judge's numbers."""

from hypothesis import given
from hypothesis import strategies as st

from warouter.simulator import record as simulator_record
from warouter.simulator.record import Record


def arrive(record: Record, seqs: list[int], to: str = "491511234567") -> None:
    for place, seq in enumerate(seqs):
        record.arrived(float(place), 3, 1, seq, f"{to}-{place}", to)


def test_an_inversion_is_a_seq_below_an_earlier_one_of_its_recipient() -> None:
    record = Record()
    arrive(record, [1, 5, 4, 3, 6], to="491511234567")
    arrive(record, [2, 3, 9], to="491511234568")
    assert record.counters.inversions == 2


@given(st.lists(st.integers(0, 50)))
def test_inversions_are_those_a_slow_count_finds(seqs: list[int]) -> None:
    record = Record()
    arrive(record, seqs)
    slow = sum(any(earlier > seq for earlier in seqs[:n]) for n, seq in enumerate(seqs))
    assert record.counters.inversions == slow
    assert record.counters.unique == record.counters.received == len(seqs)


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
