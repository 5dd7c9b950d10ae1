"""Garbage in the settings ends no process, at its start or later: the last good value stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.certificates import alone
from tests.harness.coreapps import started
from tests.harness.garbage import APPLICATION, CERTIFICATE, GARBAGE, write
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.node.coreapp import Coreapp
from warouter.node.setting_changes import SettingsFollower
from warouter.node.settings_webapp import WebappSettings
from warouter.store.account.accounts import Accounts
from warouter.tls.server import ServerTls

UNUSABLE = "stored setting rejected"
GOOD = '{"webhooks": {"url": "http://127.0.0.1:9/"}, "callback_backoff_delay_ms": %d}'


def refusals(text: str) -> int:
    """By the reader of stored settings, or by the one of a webhook's URL."""
    return text.count(UNUSABLE) + text.count("webhook URL rejected")


@pytest_asyncio.fixture
async def coreapp(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Coreapp]:
    """One that starts with garbage in everything that it follows."""
    await write(pool, "application", '{"log_level": "loud", "sent_status": true, "webhooks": []}')
    await write(pool, "webhook_ca", '{"pem": "é"}')
    allowed = {"webhook_allow_http": True, "allow_private": "127.0.0.0/8"}
    async with started(settings, **allowed) as coreapp:
        yield coreapp


async def test_a_coreapp_keeps_what_was_good(
    coreapp: Coreapp, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = coreapp.feed.callbacks
    trusted = callbacks.receiver.tls

    async def followed(name: str, text: str) -> None:
        """Until it was found unusable."""
        said = refusals(caplog.text)
        await write(pool, name, text)
        await soon(lambda: refusals(caplog.text) > said)

    async def good(delay_ms: int) -> None:
        await write(pool, "application", GOOD % delay_ms)
        await soon(lambda: coreapp.in_force.of(1).callback_backoff_delay_ms == delay_ms)

    # The good field among the bad ones.
    await soon(lambda: coreapp.in_force.of(1).sent_status)
    assert UNUSABLE in caplog.text
    for n, (name, text) in enumerate(
        (each, t) for each in ("application", "webhook_ca") for t in GARBAGE[each]
    ):
        await good(1000 + n)
        await followed(name, text)
        assert callbacks.receiver.tls is trusted, text
        # Any other text is an object without "webhooks", which means that there is no URL.
        if "webhooks" in text or name != "application" or not text.startswith("{"):
            assert callbacks.receiver.url == "http://127.0.0.1:9/", text
    await write(pool, "webhook_ca", msgspec.json.encode({"pem": alone("ours").pem}).decode())
    await soon(lambda: callbacks.receiver.tls is not trusted)
    ours = callbacks.receiver.tls
    await Accounts(pool).delete_setting(1, "webhook_ca")
    await soon(lambda: callbacks.receiver.tls is not ours)


@pytest.fixture
def files(tmp_path: Path) -> ServerTls:
    pair = alone("of the file")
    (tmp_path / "cert").write_text(pair.pem)
    (tmp_path / "key").write_text(pair.key)
    return ServerTls(str(tmp_path / "cert"), str(tmp_path / "key"))


class Counted:
    """Counts how often the settings were adopted, or could not be."""

    def __init__(self, settings: WebappSettings) -> None:
        self._settings = settings
        self.times = 0

    async def adopt(self) -> None:
        try:
            await self._settings.adopt()
        finally:
            self.times += 1


async def test_a_webapp_keeps_what_was_good(
    pool: asyncpg.Pool, files: ServerTls, caplog: pytest.LogCaptureFixture
) -> None:
    level = logging.getLogger().level
    accounts = Accounts(pool)
    settings = Counted(WebappSettings(accounts, files, "info"))
    follower = SettingsFollower(settings.adopt)
    await write(pool, "external_certificate", CERTIFICATE[0])
    await write(pool, "application", APPLICATION[0])
    await settings.adopt()  # at its start: the files
    of_files = files.chain
    ours = alone("of the database")
    stored = {"chain": ours.pem, "key": ours.key}
    await accounts.change_setting(1, "external_certificate", lambda _: stored)
    await accounts.change_setting(1, "application", lambda _: {"log_level": "warning"})
    following = asyncio.create_task(follower.run())

    async def followed() -> None:
        version = settings.times
        follower.saw(version)
        await soon(lambda: settings.times > version)

    try:
        await followed()
        in_force = files.chain
        assert in_force != of_files
        for name in ("application", "external_certificate"):
            for text in GARBAGE[name]:
                await write(pool, "application", '{"log_level": "warning"}')
                await followed()
                await write(pool, name, text)
                await followed()
                assert not following.done()
                assert files.chain == in_force, text
                if "log_level" in text or text == "[]":
                    assert logging.getLogger().level == logging.WARNING, text
        await accounts.delete_setting(1, "external_certificate")
        await followed()
        assert files.chain == of_files
    finally:
        following.cancel()
        logging.getLogger().setLevel(level)
