"""The steps of a message in words: each once, in order, with what they are since the one before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from warouter.console.timeline import explain, seconds_between, timeline
from warouter.store.views.attempts import Attempts, Evidence, OpenDoubt
from warouter.store.views.trace import Callback, Step, Trace
from warouter.upstream.causes import known_codes

BEGAN = datetime(2026, 11, 29, 12, tzinfo=UTC)
EPOCH = (1 << 32) + 3


def at(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def traced(*steps: Step, cloud: Attempts | None = None, media: bool = False) -> Trace:
    return Trace(
        "AQ",
        "outgoing",
        "message",
        "sent",
        "49151",
        3,
        1,
        "a",
        EPOCH,
        None,
        list(steps),
        cloud,
        media,
    )


def test_durations_are_since_the_last_step_with_a_time() -> None:
    done = Callback("settled")
    found = timeline(
        traced(
            Step("accepted", at(0), owner="a", epoch=EPOCH),
            Step("settled"),
            Step("sent", at(0.25), callback=done),
            Step("delivered", at(61), callback=done),
        ),
        0.0,
    )
    assert [entry.name for entry in found] == ["accepted", "settled", "sent", "delivered"]
    assert [entry.after_s for entry in found] == [None, None, 0.25, 60.75]
    assert (found[0].owner, found[0].epoch) == ("a", "1.3")
    assert [entry.callback_level for entry in found] == ["off", "off", "good", "good"]


def test_requests_to_the_cloud_api_stand_between_waiting_and_the_statuses() -> None:
    cloud = Attempts(
        2, "in_doubt", OpenDoubt("silence", at(5)), evidence=[Evidence("wamid.x", 1, at(2))]
    )
    found = timeline(
        traced(Step("accepted", at(0)), Step("parked", attempts=1, due_in_s=7.0), cloud=cloud),
        BEGAN.timestamp(),
    )
    assert [entry.name for entry in found] == ["accepted", "parked", "taken-1", "in-doubt"]
    assert found[1].due == "2026-11-29T12:00:05Z"
    assert found[2].why == "as wamid.x"
    assert [entry.after_s for entry in found] == [None, None, 2.0, 3.0]


def test_a_due_time_does_not_tremble() -> None:
    step = Step("parked", attempts=1, due_in_s=100.0)
    times = {
        timeline(traced(later(step, n)), BEGAN.timestamp() + n / 1000)[0].due for n in range(1000)
    }
    assert len(times) == 1


def later(step: Step, ms: int) -> Step:
    assert step.due_in_s is not None
    return msgspec.structs.replace(step, due_in_s=step.due_in_s - ms / 1000)


def test_media_are_told_and_errors_explained() -> None:
    (accepted, failed) = timeline(
        traced(
            Step("accepted", at(0)),
            Step(
                "failed", at(1), reason="470 x", codes=[470, 999_999], callback=Callback("waiting")
            ),
            media=True,
        ),
        0.0,
    )
    assert "uploads it" in accepted.why
    (known,) = failed.explained
    assert known.code == 470
    assert "24 hours" in known.causes[0].cause


def test_every_code_is_explained_by_what_concerns_a_status() -> None:
    for code in known_codes():
        found = explain(code.code)
        assert found is not None
        assert found.causes
        if any(cause.place == "status" for cause in code.causes):
            assert {cause.place for cause in found.causes} == {"status"}
    assert explain(-1) is None


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_no_duration_is_below_zero(first: float, second: float) -> None:
    assert seconds_between(at(first), at(second)) >= 0


@given(st.lists(st.floats(0, 1e5) | st.none(), max_size=12))
def test_durations_add_up_to_the_whole(seconds: list[float | None]) -> None:
    steps = [
        Step("sent", None if s is None else at(s), callback=Callback("waiting"))
        for s in sorted(s for s in seconds if s is not None)
    ]
    found = timeline(traced(*steps), 0.0)
    told = [entry.after_s for entry in found if entry.after_s is not None]
    if steps:
        assert steps[0].at is not None
        assert steps[-1].at is not None
        assert abs(sum(told) - seconds_between(steps[0].at, steps[-1].at)) < 0.001
