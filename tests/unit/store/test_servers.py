"""Which server of several is asked when, with servers that fail in their own time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from warouter.config import Settings, load
from warouter.store import servers

SECONDS = 0.5
PATIENCE = 10.0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were asked: ``slow`` takes long to refuse, ``silent`` for ever."""
    found: list[str] = []

    async def dial(_settings: Settings, host: str, _port: int, **arguments: Any) -> None:
        found.append(host)
        try:
            async with asyncio.timeout(arguments["timeout"]):
                await asyncio.sleep({"slow": 0.3, "silent": 60.0}.get(host, 0.0))
        except TimeoutError:
            raise TimeoutError(host) from None
        raise ConnectionRefusedError(host)

    monkeypatch.setattr(servers, "dial", dial)
    monkeypatch.setattr(servers, "HEAD_START", 0.025)
    monkeypatch.setattr(servers, "AGAIN_SECONDS", 0.05)
    return found


async def refusal(hosts: str) -> OSError:
    settings = load({"WA_DB_HOSTNAME": hosts})
    with pytest.raises((ConnectionError, TimeoutError)) as caught:
        async with asyncio.timeout(PATIENCE):
            await servers.open_writable(settings, timeout=SECONDS, server_settings={})
    return caught.value


async def test_two_that_are_slow_to_fail_do_not_keep_each_other_asked(asked: list[str]) -> None:
    assert str(await refusal("slow,silent")) in ("slow", "silent")
    assert asked.count("silent") <= 2


async def test_one_that_refuses_is_asked_again_while_another_is_silent(asked: list[str]) -> None:
    await refusal("silent,refusing")
    assert asked.count("silent") == 1
    assert 2 < asked.count("refusing") < 2 * SECONDS / servers.AGAIN_SECONDS


async def test_all_that_refuse_at_once_are_asked_once(asked: list[str]) -> None:
    await refusal("one,other")
    assert asked == ["one", "other"]
