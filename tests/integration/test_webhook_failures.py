"""Callbacks to a receiver that fails in every way receivers fail, and says odd things."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.harness.callbacks import (
    FAILING,
    STEP_MS,
    WORKS,
    Logged,
    Owner,
    accepted,
    boottime,
    event,
    idle,
    ids,
    name_of,
    running,
    settings_of,
    spread,
)
from tests.harness.receiver import Post, Receiver, Reply
from warouter.kinds import INBOUND, STATUS
from warouter.webhook.breaker import FAILURES, GIVE_UP
from warouter.webhook.post_record import PostResult

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Clock:
    """Goes on by ``step`` seconds whenever it is read."""

    def __init__(self) -> None:
        self.now = self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now - self.step


class TestFailures:
    async def test_an_outage_delays_everything_and_loses_or_parks_nothing(
        self, owner: Owner, receiver: Receiver, logged: Logged
    ) -> None:
        failures = 12
        receiver.answer = lambda _post: 500 if len(receiver.posts) <= failures else 200
        async with running(owner) as callbacks:
            for each in spread(60):
                callbacks.add([each])
            await owner.all_settled(60)
            assert callbacks.failing == []
        assert owner.parked == owner.dead == []
        assert callbacks.requests[PostResult("status_change", "500")] == failures
        assert sorted(owner.ids()) == sorted(ids(accepted(receiver)))
        # At most four more POSTs were on their way when the circuit opened, then came probes.
        probes = receiver.posts[FAILURES + 4 : failures]
        assert [len(post.events) for post in probes] == [1] * len(probes)
        assert logged() == [FAILING, WORKS]

    async def test_statuses_refused_for_ever_do_not_hold_up_inbound_messages(
        self, owner: Owner, receiver: Receiver, logged: Logged
    ) -> None:
        receiver.answer = lambda post: 200 if "messages" in post.json else 400
        async with running(owner) as callbacks:
            for n in range(300):
                callbacks.add([event(n, f"r{n % 50}")])
                callbacks.add([event(n, f"r{n % 50}", kind=INBOUND)])
            await owner.all_settled(300)
            await owner.until(lambda: FAILING in logged())
            assert callbacks.failing == ["status_change"]
            assert {item.kind for item in owner.settled} == {INBOUND}
            refused = callbacks.requests[PostResult("status_change", "400")]
            assert refused < 20  # 300 events, and no storm of splits
            assert owner.parked == []
            assert callbacks.queue_size == 300

            receiver.answer = 200
            await owner.all_settled(600)
        assert logged() == [FAILING, WORKS]
        assert sorted(owner.ids()) == sorted(ids(accepted(receiver)))

    async def test_a_reset_after_processing_repeats_the_events_and_loses_none(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        def reset_once(_post: Post) -> Reply:
            return Reply(reset=len(receiver.posts) == 1)

        receiver.answer = reset_once
        async with running(owner) as callbacks:
            for each in spread(4):
                callbacks.add([each])
            await owner.all_settled(4)
            assert callbacks.requests[PostResult("status_change", "connection")] == 1
        assert Counter(ids(receiver.posts)) == Counter({f"r{n}.{n}": 2 for n in range(4)})
        assert Counter(owner.ids()) == Counter(f"r{n}.{n}" for n in range(4))

    @pytest.mark.parametrize("endless", [True, False], ids=["without end", "that drips"])
    async def test_an_answer_that_does_not_end_is_cut_and_its_status_counts(
        self, owner: Owner, receiver: Receiver, endless: bool
    ) -> None:
        cut: list[ConnectionError] = []
        never = asyncio.Event()

        async def answer(post: Post) -> None:
            await post.say(CHUNKED + b"1\r\n.\r\n")
            try:
                while endless:
                    await post.say(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
                await never.wait()
            except ConnectionError as error:
                cut.append(error)

        receiver.answer = answer
        async with running(owner, timeout=600 if endless else 2.0) as callbacks:
            callbacks.add([event(1)])
            await owner.all_settled(1)
            if endless:
                await owner.until(lambda: cut)
            assert callbacks.requests == {PostResult("status_change", "success"): 1}
        assert owner.parked == []

    async def test_a_poison_event_is_isolated_and_all_others_are_delivered(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        poison = "r17.1"
        receiver.answer = lambda post: 500 if poison in ids([post]) else 200
        async with running(owner) as callbacks:
            for number in range(3):
                for n in range(40):
                    callbacks.add([event(number, f"r{n}")])
            await owner.all_settled(118)
            await owner.until(lambda: owner.parked)
            ((items, delay_ms, reason),) = owner.parked
            assert [name_of(item) for item in items] == [poison, "r17.2"]
            assert [item.attempts for item in items] == [1, 0]
            assert all(item.first_at is not None for item in items)
            assert (delay_ms, reason) == (STEP_MS, "webhook: 500")
            assert poison not in owner.ids()

            callbacks.add([event(3, "r17")])  # turned away: its lane is blocked
            assert [item.seq for item in owner.parked[-1][0]] == [3]
            for item in items:  # due again, and accepted this time
                receiver.answer = 200
                callbacks.add([item])
            await owner.all_settled(120)
            callbacks.unblock(0, "r17", STATUS)
            callbacks.add([owner.parked[-1][0][0]])
            await owner.all_settled(121)
        assert [name for name in owner.ids() if name.startswith("r17.")] == [
            f"r17.{n}" for n in range(4)
        ]

    async def test_retries_of_refused_events_do_not_hold_up_others(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        receiver.answer = lambda post: 200 if ids([post]) == ["good.0"] else 500
        owner.settings = settings_of(receiver.url, step_ms=1_000_000, most_ms=3_600_000)
        async with running(owner) as callbacks:
            for n in range(2 * FAILURES):
                callbacks.add([event(n, f"r{n}", attempts=1 + n, first_at=boottime())])
            await owner.until(lambda: len(owner.parked) == 2 * FAILURES)
            # The delay grows linearly up to its most.
            delays = {items[0].seq: delay_ms for items, delay_ms, _ in owner.parked}
            assert [delays[n] for n in range(3)] == [2_000_000, 3_000_000, 3_600_000]
            callbacks.add([event(0, "good")])
            await owner.all_settled(1)

    async def test_after_seven_days_of_tries_it_is_a_dead_letter(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        first_at = boottime() - GIVE_UP
        receiver.answer = lambda post: 500 if "a.1" in ids([post]) else 200
        async with running(owner) as callbacks:
            callbacks.add([event(1, "a", attempts=700, first_at=first_at)])
            callbacks.add([event(2, "a", first_at=first_at + GIVE_UP)])
            await owner.until(lambda: owner.dead)
            await owner.all_settled(1)  # what waited behind it goes on
        (([letter], reason),) = owner.dead
        assert (letter.seq, letter.attempts, reason) == (1, 700, "webhook: 500")
        assert owner.ids() == ["a.2"]
        assert owner.parked == []

    async def test_a_receiver_down_for_seven_days_costs_dead_letters_not_silence(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        now = [0.0]
        receiver.answer = 500
        async with running(owner, clock=lambda: now[0]) as callbacks:
            for each in spread(40):
                callbacks.add([each])
            await owner.until(lambda: callbacks.failing and idle(callbacks))
            # All counts as tried from the first probe on, and is over at the third.
            for _ in range(3):
                assert owner.dead == []
                posts = len(receiver.posts)
                now[0] += GIVE_UP / 2
                callbacks.settings_changed()
                await owner.until(lambda p=posts: len(receiver.posts) > p and idle(callbacks))
        dead = [item.seq for items, _ in owner.dead for item in items]
        assert sorted(dead) == [*range(40)]
        assert owner.settled == owner.parked == []

    async def test_a_probe_goes_that_falls_due_while_it_is_decided_what_goes(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        clock = Clock()
        receiver.answer = 500
        async with running(owner, clock=clock) as callbacks:
            for each in spread(40):
                callbacks.add([each])
            await owner.until(lambda: callbacks.failing and idle(callbacks))
            receiver.answer = 200
            # The first reading of the next turn is just before the probe is due.
            clock.now, clock.step = STEP_MS / 1000 - 1e-4, 2e-4
            await owner.all_settled(40)  # nothing else comes that would wake it

    async def test_a_new_url_is_tried_at_once(
        self, owner: Owner, receiver: Receiver, logged: Logged
    ) -> None:
        receiver.answer = 500
        owner.settings = settings_of(receiver.url, step_ms=3_600_000, most_ms=3_600_000)
        async with running(owner) as callbacks:
            for each in spread(40):
                callbacks.add([each])
            await owner.until(lambda: FAILING in logged() and idle(callbacks))
            receiver.answer = 200
            owner.settings = settings_of(f"{receiver.url}/new")
            callbacks.settings_changed()
            await owner.all_settled(40)
        assert receiver.posts[-1].path == "/hook/new"


class TestOddAnswers:
    """What receivers and what stands before them say, or do not."""

    @pytest.mark.parametrize(("status", "good"), [(200, True), (500, False)])
    async def test_a_compressed_answer_is_not_unpacked(
        self, owner: Owner, receiver: Receiver, status: int, good: bool
    ) -> None:
        """Not even one that is no gzip at all: the status alone decides."""
        receiver.answer = lambda _post: Reply(
            status=status, body=b"no gzip", headers={"Content-Encoding": "gzip"}
        )
        async with running(owner) as callbacks:
            callbacks.add([event(1)])
            await owner.until(lambda: owner.settled or owner.parked)
        assert bool(owner.settled) is good
        assert "Content-Encoding" not in receiver.posts[0].headers

    @pytest.mark.parametrize(
        ("said", "result"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "success"),
            (b"HTTP/1.0 200 OK\r\n\r\nok", "success"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut", "success"),
            (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "success"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "connection"),
            (b"HTTP/1.1 abc\r\n\r\n", "connection"),
            (b"SSH-2.0-OpenSSH\r\n", "connection"),
            (b"\x15\x03\x01\x00\x02\x02F", "connection"),
            (b"", "connection"),
        ],
    )
    async def test_raw_answers(self, owner: Owner, said: bytes | None, result: str) -> None:
        async with raw_receiver(said) as url:
            owner.settings = settings_of(url)
            async with running(owner) as callbacks:
                callbacks.add([event(1)])
                await owner.until(lambda: owner.settled or owner.parked)
                assert callbacks.requests == {PostResult("status_change", result): 1}

    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_a_receiver_that_says_nothing_fails_after_the_timeout(
        self, owner: Owner, scheme: str
    ) -> None:
        """With https not even a handshake."""
        label = PostResult("status_change", "timeout")
        async with raw_receiver(None, scheme) as url:
            owner.settings = settings_of(url)
            async with running(owner, timeout=0.1) as callbacks:
                callbacks.add([event(1)])
                await owner.until(lambda: owner.parked)
                assert callbacks.requests == {label: 1}
                assert 90 <= callbacks.duration_ms[label] < 4_000
        ((items, delay_ms, reason),) = owner.parked
        assert (items[0].attempts, delay_ms, reason) == (1, STEP_MS, "webhook: timeout")


@contextlib.asynccontextmanager
async def raw_receiver(said: bytes | None, scheme: str = "http") -> AsyncIterator[str]:
    """Answers each connection with these bytes; None: with nothing, and keeps it."""
    kept: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.append(writer)
        if said is None:
            return
        await reader.read(1)
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for writer in kept:
            writer.close()
