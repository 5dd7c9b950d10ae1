"""The rule for commits finds each thing that is wrong, and nothing in a message that is right."""

from __future__ import annotations

import pytest

from tests.harness.commits import LONGEST_SUBJECT, faults

SUBJECT, BODY = "Say what changes", "Since nobody could see it.\n"


def test_a_message_that_fits_has_no_faults() -> None:
    assert list(faults(SUBJECT, BODY, 1)) == []
    assert list(faults("S" * LONGEST_SUBJECT, BODY, 1)) == []
    assert list(faults(SUBJECT, "Units see neither /root nor /home.", 1)) == []


@pytest.mark.parametrize(
    ("subject", "body", "parents", "fault"),
    [
        ("S" * (LONGEST_SUBJECT + 1), BODY, 1, "73 characters"),
        ("say what changes", BODY, 1, "capital letter"),
        ("Say what changes.", BODY, 1, "full stop"),
        ("WIP: say what changes", BODY, 1, "squash"),
        (SUBJECT, "\n", 1, "says why"),
        (SUBJECT, BODY, 2, "rebase"),
        (SUBJECT, "Run in /home/somebody/warouter.", 1, "path"),
    ],
)
def test_each_fault_is_found_alone(subject: str, body: str, parents: int, fault: str) -> None:
    (found,) = faults(subject, body, parents)
    assert fault in found
