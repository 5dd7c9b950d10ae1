"""A webapp whose upstream is the Cloud API: webhooks at one port, the API at another."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from trustme import CA

from tests.harness.certificates import Pair, issued, text_of
from tests.harness.postgres import environment_of, until
from tests.harness.wait import soon
from tests.harness.webhooks import NUMBER, SECRET, VERIFY, Line, inbox_of, post, text, webhook
from warouter.config import Settings, load
from warouter.errors import CommandError, NotReady
from warouter.link.offers import StatusOffers
from warouter.local.ports import free_port
from warouter.local.process import Process
from warouter.node.runtime import ProcessIdentity
from warouter.node.webhooks import CloudWebhooks
from warouter.tls import server

KEY = "an-api-key-for-tests"
BODY = webhook(messages=[text("wamid.1", timestamp=str(int(time.time())))])


def cloud(port: int, **more: str) -> dict[str, str]:
    """The variables of the Cloud API."""
    return {
        "WAROUTER_UPSTREAM": "cloud",
        "WAROUTER_CLOUD_PHONE_NUMBER_ID": NUMBER,
        "WAROUTER_CLOUD_WABA_ID": "1",
        "WAROUTER_CLOUD_TOKEN": "a-token-for-tests",
        "WAROUTER_CLOUD_APP_SECRET": SECRET,
        "WAROUTER_CLOUD_VERIFY_TOKEN": VERIFY,
        "WAROUTER_CLOUD_LISTEN": f"127.0.0.1:{port}",
        **more,
    }


class Webapp:
    """The process and its two ports."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.port, self.hook = free_port(), free_port()
        environment = {
            **environment_of(settings),
            **cloud(self.hook),
            "WEBAPP_EXTERNAL_PORTS": str(self.port),
            "WAROUTER_NO_TLS": "1",
            "WA_API_KEY": KEY,
        }
        self.process = Process("webapp", "webapp", ["webapp"], environment, folder)


@pytest_asyncio.fixture
async def webapp(settings: Settings) -> AsyncIterator[Webapp]:
    with tempfile.TemporaryDirectory() as folder:  # its path is short enough for a socket
        webapp = Webapp(settings, Path(folder))
        await webapp.process.start()
        yield webapp
        await webapp.process.stop()


async def test_webhooks_and_the_api_have_nothing_in_common(
    webapp: Webapp, pool: asyncpg.Pool
) -> None:
    line = Line(*await asyncio.open_connection("127.0.0.1", webapp.hook))
    line.say(post(BODY))
    assert (await line.hear()).status == 200
    line.writer.close()
    assert [row["key"] for row in await inbox_of(pool)] == ["wamid.1"]
    api, hook = (f"http://127.0.0.1:{port}" for port in (webapp.port, webapp.hook))
    key = {"Authorization": f"Apikey {KEY}"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{hook}/v1/messages", json={}) as answer:
            assert answer.status == 404
        async with session.get(f"{hook}/metrics") as answer:
            assert answer.status == 404
        query = f"hub.mode=subscribe&hub.challenge=1&hub.verify_token={VERIFY}"
        async with session.get(f"{hook}/cloud/webhook?{query}") as answer:
            assert (answer.status, await answer.text()) == (200, "1")
        async with session.get(f"{api}/cloud/webhook?{query}") as answer:
            assert answer.status == 404
        async with session.post(f"{api}/cloud/webhook", data=BODY) as answer:
            assert answer.status == 404
        async with session.get(f"{api}/metrics?format=prometheus", headers=key) as answer:
            figures = await answer.text()
    assert 'warouter_cloud_webhooks_total{result="taken"' in figures
    assert 'warouter_cloud_events_total{kind="inbound"' in figures
    await webapp.process.stop()
    assert await until(pool, "select left_at is not null from cloud_path")


# Its own TLS


class Files:
    """The certificate files of a listener, and the authority that Meta is known by."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.meta = CA(), CA()
        self.cert, self.key, self.ca = (folder / name for name in ("crt", "key", "ca"))
        self.ca.write_text(text_of(self.meta))
        self.write(issued(self.authority))

    def write(self, pair: Pair) -> None:
        self.shown = pair.pem
        self.cert.write_text(pair.pem)
        self.key.write_text(pair.key)

    def variables(self) -> dict[str, str]:
        return {
            "WAROUTER_CLOUD_TLS_CERT": str(self.cert),
            "WAROUTER_CLOUD_TLS_KEY": str(self.key),
            "WAROUTER_CLOUD_MTLS_CA": str(self.ca),
            "WAROUTER_CLOUD_MTLS_NAME": "meta.example",
        }

    def client(self, name: str = "meta.example") -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=text_of(self.authority))
        self.meta.issue_cert(name).configure_cert(context)
        return context


async def answer_of(port: int, client: ssl.SSLContext) -> tuple[int, str]:
    """The status of a webhook, 0 if there is no answer, and the certificate that was shown."""
    line = None
    try:
        opened = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost"
        )
        line = Line(*opened)
        shown = line.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        line.say(post(BODY))
        return (await line.hear()).status, ssl.DER_cert_to_PEM_cert(shown)
    except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
        return 0, ""
    finally:
        if line is not None:
            line.writer.close()


def nobody() -> StatusOffers:
    """No owner is linked."""
    return StatusOffers(lambda _slot: None, asyncio.get_running_loop())


async def test_a_number_that_meta_does_not_have_is_503(settings: Settings, tmp_path: Path) -> None:
    given = load(environment_of(settings) | cloud(free_port(), **Files(tmp_path).variables()))
    hooks = CloudWebhooks(given, ProcessIdentity(given, "webapp"), nobody())
    assert hooks.number(1) is hooks.of
    with pytest.raises(NotReady):
        hooks.number(2)


async def test_a_renewed_certificate_is_shown_and_clients_still_show_theirs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FILES_SECONDS", 0.02)
    files, port = Files(tmp_path), free_port()
    given = load(environment_of(settings) | cloud(port, **files.variables()))
    hooks = CloudWebhooks(given, ProcessIdentity(given, "webapp"), nobody())
    await hooks.open()
    tasks = [asyncio.create_task(work) for work in hooks.work().values()]
    assert await answer_of(port, files.client()) == (200, files.shown)
    former = files.shown
    files.key.write_text("half of it")  # what cannot be used leaves the former in force
    for _ in range(5):
        await asyncio.sleep(0.02)
    assert await answer_of(port, files.client()) == (200, former)
    files.write(issued(files.authority))
    assert files.shown != former

    async def is_renewed() -> bool:
        return await answer_of(port, files.client()) == (200, files.shown)

    await soon(is_renewed)
    assert (await answer_of(port, files.client("other.example")))[0] == 0
    without = ssl.create_default_context(cadata=text_of(files.authority))
    assert (await answer_of(port, without))[0] == 0
    await hooks.leave()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await hooks.close()


async def test_a_port_that_is_taken(settings: Settings) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = load(environment_of(settings) | cloud(port))
    hooks = CloudWebhooks(given, ProcessIdentity(given, "webapp"), nobody())
    with pytest.raises(CommandError, match="WAROUTER_CLOUD_LISTEN"):
        await hooks.open()
    await hooks.close()
    server.close()
    assert not any(sample.value for sample in hooks.samples())
