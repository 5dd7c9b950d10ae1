"""Every mechanism that is taken out is missed: a judge that finds nothing judges nothing."""

from __future__ import annotations

import pytest

from tests.campaigns.simulation.mutants import MUTANTS, run

MOST_SEEDS = 120

# The invariants that may be broken first, and of which one must be.
FOUND_BY = {
    "no_fence": {"I2"},
    "no_deadline": {"I3", "I12", "I14"},
    "deadline_from_the_answer": {"I3", "I12", "I14"},
    "same_epoch_again": {"I1", "I5"},
    "new_before_old": {"I7", "I6"},
    "skipped_backlog": {"I1", "I5", "I7"},
    "ack_before_commit": {"I1"},
    "unblocked_lane": {"I7"},
    "unbounded_window": {"I6"},
    "settled_when_sent": {"I1", "I5"},
    "parked_are_forgotten": {"I7"},
    "parked_beyond_the_page_are_free": {"I7"},
    "event_acked_at_once": {"I8"},
    "letters_in_the_dark": {"I10", "I15"},
    "keys_are_not_looked_at": {"I11"},
    "given_up_and_begun": {"I12"},
    "no_term": {"I13"},
    "who_cannot_write_keeps_its_slots": {"I1", "I5", "I15"},
    "a_leader_waits_for_a_second": {"I5", "I12", "I15"},
    "times_of_the_database_are_believed": {"I1", "I5", "I15"},
    "an_answer_is_waited_for": {"I1", "I15"},
    "what_cannot_be_read_comes_again": {"I15"},
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found(name: str) -> None:
    first = MUTANTS[name].first
    for seed in range(first, first + MOST_SEEDS):
        broken = {number for _, number, _ in run(name, seed).violations}
        if broken & FOUND_BY[name]:
            return
    pytest.fail(f"{MOST_SEEDS} seeds did not miss what {name} takes out")
