"""What a request can meet at the Cloud door: every way to lose, spoil or delay an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.harness.cloud import OTHER, TO, Door, connected, new_reference, request, text
from tests.harness.filters import needs_filters
from tests.harness.wait import soon

LOST = (aiohttp.ClientError, EOFError, ConnectionError)


async def outcomes(world: Door, count: int) -> list[dict[str, Any]]:
    """The requests of the record, once so many have come."""
    await soon(lambda: world.record.counters.received >= count)
    _, record = await world.ask("GET", "/record?requests=1")
    found: list[dict[str, Any]] = record["requests"]
    return found


async def test_dropped_before_it_is_taken(world: Door) -> None:
    world.use(drop_before=1.0)
    with pytest.raises(LOST):
        await world.send()
    (request,) = await outcomes(world, 1)
    assert (request["outcome"], request["accepted"]) == ("dropped", None)
    assert world.record.counters.accepted == 0


async def test_taken_and_dropped_before_the_answer_with_and_without_a_reset(world: Door) -> None:
    world.use(drop_after=1.0)
    ways = set()
    while ways != {"reset", "closed"}:
        async with connected(world) as raw:
            raw.begin(world, new_reference())
            try:
                assert await raw.end() == b""
                ways.add("closed")
            except ConnectionResetError:
                ways.add("reset")
    requests = await outcomes(world, 2)
    assert {r["outcome"] for r in requests} == {"dropped"}
    assert world.record.counters.accepted == len(requests)
    assert world.record.counters.answered == 0
    assert len(await world.statuses(3)) >= 3


async def test_half_an_answer(world: Door) -> None:
    world.use(half=1.0)
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        said = await raw.end()
    assert said.startswith(b"HTTP/1.1 200")
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert len(body) == length // 2
    assert (await outcomes(world, 1))[0]["outcome"] == "dropped"
    assert world.record.counters.accepted == 1


KINDS = ("500", "502", "200", "131000", "131016", "redirect", "large")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("taken", [True, False])
async def test_failed_whether_it_is_taken_or_not(world: Door, kind: str, taken: bool) -> None:
    when = "fail_after" if taken else "fail_before"
    world.use(**{when: 1.0, f"{when}_as": kind})
    status, answer = await world.send(follow=False)
    check(kind, status, answer)
    (request,) = await outcomes(world, 1)
    is_refusal = kind == "131016" and not taken
    assert request["outcome"] == ("answered" if is_refusal else "failed")
    assert (request["wamid"] is not None) == taken
    assert world.record.counters.accepted == taken


def check(kind: str, status: int, answer: Any) -> None:
    """The answer is as that kind of trouble has it."""
    match kind:
        case "131000" | "131016":
            assert (status, answer["error"]["code"]) == (500, int(kind))
        case "redirect":
            assert status == 307
        case "large":
            assert (status, len(answer)) == (200, 16 << 20)
        case "502":
            assert (status, answer.startswith(b"<html>")) == (502, True)
        case _:
            assert status == int(kind)
            assert isinstance(answer, bytes)


async def test_an_answer_without_an_end(world: Door) -> None:
    world.use(fail_after=1.0, fail_after_as="endless")
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        assert await raw.reader.readuntil(b"\r\n\r\n")
        for _ in range(3):
            assert await raw.reader.readexactly(64) == b" " * 64
    await soon(lambda: not world.simulator.line.callers)


async def test_too_many_without_a_code(world: Door) -> None:
    world.use(bare_throttle=1.0)
    assert await world.send() == (429, b"")
    assert world.record.counters.accepted == 0
    world.use(throttle=1.0)
    status, answer = await world.send()
    assert (status, answer["error"]["code"]) == (429, 130429)


async def test_any_code_with_any_status(world: Door) -> None:
    world.use(code=131042)
    status, answer = await world.send()
    assert (status, answer["error"]["code"]) == (400, 131042)
    assert set(answer["error"]) == {"message", "type", "code", "error_data", "fbtrace_id"}
    world.use(code=1, code_http=500)
    assert (await world.send())[0] == 500
    world.use(code=1, code_http=500, code_share=0.0)
    assert (await world.send())[0] == 200


async def test_no_token_is_good_for_any_call(world: Door) -> None:
    world.use(no_token=True)
    node = world.url(world.simulator.facts.phone_number_id)
    for status, answer in (await world.send(), await world.call("GET", node)):
        assert (status, answer["error"]["code"]) == (401, 190)
    assert world.record.counters.unauthorized == 2
    assert world.record.counters.received == 0


async def test_tokens_expire_and_others_are_taken(world: Door) -> None:
    world.use(expired_tokens=("token-1",), other_tokens=("token-2",))
    assert (await world.send())[0] == 401
    world.session.headers["Authorization"] = "Bearer token-2"
    assert (await world.send())[0] == 200


async def test_bare_numbers(world: Door) -> None:
    world.use(need_plus=True)
    status, answer = await world.call(
        "POST",
        world.messages_url,
        json={"messaging_product": "whatsapp", "to": TO, "text": {"body": "x"}},
    )
    assert (status, answer["error"]["code"]) == (400, 100)
    assert (await world.send())[0] == 200
    assert world.record.counters.unreadable == 1


async def test_answers_take_their_time(world: Door) -> None:
    world.use(latency_ms=50, latency_most_ms=100)
    assert (await world.send())[0] == 200
    world.use(slow=1.0, slow_ms=200)
    assert (await world.send())[0] == 200
    first, second = await outcomes(world, 2)
    assert first["answered"] - first["accepted"] >= 0.05
    assert second["answered"] - second["accepted"] >= 0.2


async def test_taken_late_although_the_caller_reset_the_connection(world: Door) -> None:
    world.use(late=1.0, late_ms=1500, late_least_ms=1500)
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        await soon(lambda: world.record.counters.received)
        raw.reset()
    await soon(lambda: world.record.counters.accepted)
    (request,) = await outcomes(world, 1)
    assert request["outcome"] == "gone"
    assert request["accepted"] - request["begun"] >= 1.5
    assert len(await world.statuses(3)) == 3


async def test_a_request_is_not_taken_once_its_caller_has_reset_the_connection(world: Door) -> None:
    world.use(abandon=1.0, abandon_ms=500)
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        await soon(lambda: world.record.counters.received)
        raw.reset()
    await soon(lambda: not world.simulator.line.callers)
    # The next one is looked at later than that one was, and its caller is there.
    assert (await world.send())[0] == 200
    first, second = await outcomes(world, 2)
    assert (first["outcome"], first["accepted"]) == ("gone", None)
    assert second["accepted"] - second["begun"] >= 0.5


async def test_unknown_keys_are_refused_unless_they_are_to_be_ignored(world: Door) -> None:
    status, answer = await world.send(unknown=True)
    assert (status, answer["error"]["code"]) == (400, 100)
    world.use(unknown_keys="ignore")
    assert (await world.send(unknown=True))[0] == 200
    status, answer = await world.send(type="odd")  # known ones are read as ever
    assert (status, answer["error"]["code"]) == (400, 100)


async def test_an_unfinished_request_is_never_taken(world: Door) -> None:
    async with connected(world) as raw:
        raw.writer.write(
            b"POST /v25.0/1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1"
        )
        await soon(lambda: world.simulator.line.callers)
        raw.reset()
    await soon(lambda: not world.simulator.line.callers)
    assert world.record.counters.received == 0


async def test_only_statuses_of_dropped_answers_are_held_back(world: Door) -> None:
    world.use(drop_after=1.0, hold_dropped_s=1000)
    with pytest.raises(LOST):
        await world.send()
    world.use(hold_dropped_s=1000)
    _, answer = await world.send(OTHER)
    found = await world.statuses(3)
    assert {status["id"] for status in found} == {answer["messages"][0]["id"]}
    assert len(world.simulator.world.timetable) == 3


async def test_a_used_connection_is_reset(world: Door) -> None:
    world.use(reset_reused=1.0)
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        assert (await raw.answer())[0] == 200
        raw.begin(world, new_reference())
        with pytest.raises(LOST):
            await raw.answer()
    assert world.record.counters.accepted == 1


async def test_idle_connections_are_closed(world: Door) -> None:
    world.use(idle_s=0.2)
    began = time.monotonic()
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        assert (await raw.answer())[0] == 200
        assert await raw.end() == b""
    assert time.monotonic() - began >= 0.2


async def test_new_connections_are_refused_and_open_ones_stay(world: Door) -> None:
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        assert (await raw.answer())[0] == 200
        world.use(refuse=True)
        async with connected(world) as other:
            other.begin(world, new_reference())
            with pytest.raises(LOST):
                await other.answer()
        raw.begin(world, new_reference())
        assert (await raw.answer())[0] == 200


async def test_requests_in_the_kernel_are_taken_though_the_caller_left(
    world: Door,
) -> None:
    async with connected(world) as raw, connected(world) as other:
        await soon(lambda: len(world.simulator.line.callers) == 2)
        began = time.monotonic()
        world.use(deaf_s=0.5)
        raw.begin(world, new_reference())
        await raw.writer.drain()
        raw.writer.write_eof()
        other.begin(world, new_reference(OTHER), OTHER)
        assert (await other.answer())[0] == 200
    requests = await outcomes(world, 2)
    assert all(request["begun"] - began >= 0.5 for request in requests)
    assert world.record.counters.accepted == 2


async def test_a_request_to_a_deaf_door_is_heard_later(world: Door) -> None:
    began = time.monotonic()
    world.use(deaf_s=0.5)
    assert (await world.send())[0] == 200
    (request,) = await outcomes(world, 1)
    assert request["begun"] - began >= 0.5


@needs_filters
async def test_a_cut_line_leaves_the_bytes_in_the_callers_kernel(world: Door) -> None:
    async with connected(world) as dead, connected(world) as alive:
        await soon(lambda: len(world.simulator.line.callers) == 2)
        began = time.monotonic()
        world.use(cut_s=0.5)
        dead.begin(world, new_reference())
        alive.begin(world, new_reference(OTHER), OTHER)
        await asyncio.gather(dead.writer.drain(), alive.writer.drain())
        dead.reset()
        assert (await alive.answer())[0] == 200
    (request,) = await outcomes(world, 1)
    assert request["recipient"] == OTHER
    assert request["begun"] - began >= 0.5


@needs_filters
async def test_an_answer_waits_for_the_line(world: Door) -> None:
    world.use(latency_ms=100)
    async with connected(world) as raw:
        raw.begin(world, new_reference())
        await soon(lambda: world.record.counters.accepted)
        began = time.monotonic()
        world.use(cut_s=0.6)
        assert (await raw.answer())[0] == 200
        assert time.monotonic() - began >= 0.6


@pytest.mark.parametrize("switch", ["deaf_s", pytest.param("cut_s", marks=needs_filters)])
async def test_the_line_is_mended_at_once_if_told(world: Door, switch: str) -> None:
    async with connected(world) as raw:
        await soon(lambda: world.simulator.line.callers)
        status, shown = await world.ask("PUT", "/faults", {switch: 1000})
        assert (status, shown[switch]) == (200, 0)
        assert switch in (await world.ask("GET", "/"))[1]["running"]
        raw.begin(world, new_reference())
        assert (await world.ask("DELETE", "/faults"))[0] == 200
        assert (await raw.answer())[0] == 200
        assert (await world.ask("GET", "/"))[1]["running"] == {}


# HTTP


async def test_a_body_in_chunks(world: Door) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        body = msgspec.json.encode(text(TO, new_reference()))
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    assert (await world.call("POST", world.messages_url, data=pieces()))[0] == 200


async def test_requests_byte_by_byte_and_behind_each_other(world: Door) -> None:
    async with connected(world) as raw:
        for byte in request(world, new_reference()) + request(world, new_reference()):
            raw.writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        raw.writer.write(request(world, new_reference()) * 3)
        assert [(await raw.answer())[0] for _ in range(5)] == [200] * 5


async def test_bytes_that_are_no_http_end_the_connection(world: Door) -> None:
    async with connected(world) as raw:
        raw.writer.write(b"nonsense\r\n\r\n")
        assert (await raw.end()).startswith(b"HTTP/1.1 400")


async def test_a_last_request_closes_the_connection(world: Door) -> None:
    async with connected(world) as raw:
        raw.begin(world, new_reference(), Connection="close")
        assert (await raw.end()).startswith(b"HTTP/1.1 200")
