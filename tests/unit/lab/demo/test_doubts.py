"""How many messages were in doubt, and what ended that."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from warouter.lab.demo.doubts import Doubted, ended_between, ends_in
from warouter.metrics import Sample

OLD, NEW = UUID(int=1), UUID(int=2)


def test_the_ends_of_one_process() -> None:
    name = "warouter_cloud_doubt_ended_total"
    samples = [
        Sample(name, 2.0, {"by": "status"}),
        Sample("warouter_cloud_in_doubt_total", 9.0, {"cause": "takeover"}),
        Sample(name, 1.0, {"by": "resend"}),
    ]
    assert ends_in(samples) == {"status": 2, "resend": 1}


def test_doubts_that_ended_before_are_not_counted() -> None:
    before = {OLD: Counter(status=5, resend=1)}
    after = {OLD: Counter(status=7, resend=1), NEW: Counter(answer=3)}
    assert ended_between(before, after) == {"status": 2, "answer": 3}


def test_a_process_that_is_gone_takes_nothing_from_the_others() -> None:
    assert ended_between({OLD: Counter(status=5)}, {NEW: Counter(status=3)}) == {"status": 3}


def test_open_doubts_count_too() -> None:
    doubted = Doubted({"status": 2, "lane": 1, "hold": 1}, open=3)
    assert doubted.total == 7
    assert (doubted.by("status", "lane"), doubted.by("fail")) == (3, 0)
