"""Every secret of a whole cluster is rotated under traffic: nobody sees an error.

Messages go out through the Cloud door over the API's TLS, callbacks to a receiver that asks for a
certificate, somebody watches with the API key, and PostgreSQL wants a password. Each secret goes
the way that docs/configuration.md tells: the new one beside the old one, then alone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio
from trustme import CA

from tests.harness import prepared
from tests.harness.business import Business
from tests.harness.certificates import alone, issued
from tests.harness.facts import Facts
from tests.harness.meta import UNLIMITED, Scene
from tests.harness.receiver import Receiver
from tests.harness.scram import Scram, scram
from tests.harness.wait import soon
from warouter.local.cluster import Cluster
from warouter.local.options import EMULATOR, UpOptions
from warouter.tls import pem

OLD_PASSWORD, NEW_PASSWORD = "first-password", "second-password"
OLD_KEY, NEW_KEY = "first-key-0123", "second-key-0123"
RATE = 10.0  # far below what one recipient may be sent in a burst


def replaced(path: Path, *lines: str) -> Path:
    """A private file with these lines, in the place of the one before."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text("".join(f"{line}\n" for line in lines))
    return new.replace(path)


class Customer(Business):
    """Over TLS, whoever the certificate names: it is renewed. Its receiver wants one of ours."""

    def __init__(self, cluster: Cluster, tls: ssl.SSLContext) -> None:
        super().__init__(cluster, rate=RATE)
        self.receiver = Receiver(self._answer, tls=tls, note=self._note)

    async def _ask(self, method: str, url: str, **more: Any) -> tuple[int, bytes]:
        return await super()._ask(method, url, ssl=False, **more)


class Watcher:
    """Asks for the figures all the time, on a new connection each, with the key of the moment."""

    def __init__(self, urls: list[str]) -> None:
        self.key = OLD_KEY
        self.answers: Counter[int | str] = Counter()
        self.page = ""
        self._urls = urls

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            while True:
                for url in self._urls:
                    await self._look(http, f"{url}/v1/stats/app?format=prometheus")
                await asyncio.sleep(0.1)

    async def _look(self, http: aiohttp.ClientSession, url: str) -> None:
        headers = {"Authorization": f"Apikey {self.key}"}
        try:
            async with http.get(url, headers=headers, ssl=False) as answer:
                self.page = await answer.text()
                self.answers[answer.status] += 1
        except aiohttp.ClientError as error:
            self.answers[repr(error)] += 1

    async def more(self) -> None:
        """What holds from here on was tried at every webapp."""
        wanted = self.answers.total() + 2 * len(self._urls)
        await soon(lambda: self.answers.total() >= wanted)

    def results(self) -> set[str]:
        """Of callbacks, as the cluster counts them."""
        lines = [line for line in self.page.splitlines() if line.startswith("callback_requests{")]
        return {line.partition('result="')[2].partition('"')[0] for line in lines}


class Installation:
    """The cluster, and each of its secrets."""

    def __init__(self, folder: Path, authority: CA, server: Scram) -> None:
        self.folder = folder
        self.authority = authority
        self.server = server
        self.password = replaced(folder / "password", OLD_PASSWORD)
        self.key = replaced(folder / "key", OLD_KEY)
        self.cert, self.cert_key = folder / "webhook.crt", folder / "webhook.key"
        self.issue("first")
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.cluster = Cluster(self._options())

    def _options(self) -> UpOptions:
        return UpOptions(
            data_dir=self.folder,
            port=0,
            shards=2,
            coreapps=3,
            webapps=2,
            upstream=EMULATOR,
            emulator_faults=tuple(f"{name}={value}" for name, value in UNLIMITED.items()),
            environment={
                **self.server.variables,
                "WA_DB_PASSWORD_FILE": str(self.password),
                "WA_API_KEY_FILE": str(self.key),
                "WAROUTER_WEBHOOK_CLIENT_CERT": str(self.cert),
                "WAROUTER_WEBHOOK_CLIENT_KEY": str(self.cert_key),
                "WAROUTER_CLOUD_RATE": "1000",
                "SSL_CERT_FILE": str(self.folder / "ca.pem"),
            },
        )

    def issue(self, name: str) -> None:
        """Another certificate for webhooks: a moment without its key, as programs renew them."""
        leaf = self.authority.issue_cert("localhost", common_name=name)
        replaced(self.cert, leaf.cert_chain_pems[0].bytes().decode())
        replaced(self.cert_key, leaf.private_key_pem.bytes().decode())

    def receivers_tls(self) -> ssl.SSLContext:
        pair = issued(self.authority)
        context = pem.server_context(pair.pem + pair.key)
        self.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest_asyncio.fixture
async def installation() -> AsyncIterator[Installation]:
    async with AsyncExitStack() as stack:
        folder = prepared.reachable_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = await stack.enter_async_context(scram(OLD_PASSWORD))
        found = Installation(folder, CA(), server)
        stack.push_async_callback(found.cluster.stop)
        await found.cluster.start()
        yield found


class Rotation:
    """One secret after the other, under the eyes of who uses them."""

    def __init__(self, installation: Installation, scene: Scene, watcher: Watcher) -> None:
        self.installation = installation
        self.scene = scene
        self.watcher = watcher

    @property
    def steps(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.database_password,
            self.api_key,
            self.api_certificate,
            self.cloud_token,
            self.app_secret,
            self.verify_token,
            self.webhook_certificate,
        ]

    async def database_password(self) -> None:
        file, cluster = self.installation.password, self.installation.cluster
        replaced(file, NEW_PASSWORD, OLD_PASSWORD)
        await cluster.add_coreapps(1)
        await self.installation.server.set_password(NEW_PASSWORD)
        await cluster.add_coreapps(1)  # with the old one below
        replaced(file, NEW_PASSWORD)
        await cluster.add_coreapps(1)
        await self._connect_webapps()

    async def _connect_webapps(self) -> None:
        """So many calls at once that their pools open more connections than they have."""
        asked = self.scene.business.call
        await asyncio.gather(*(asked("GET", "/v1/settings/application") for _ in range(24)))

    async def api_key(self) -> None:
        replaced(self.installation.key, OLD_KEY, NEW_KEY)
        await self.watcher.more()
        self.watcher.key = NEW_KEY
        await self.watcher.more()
        replaced(self.installation.key, NEW_KEY)
        await self.watcher.more()

    async def api_certificate(self) -> None:
        renewed = alone("renewed.example")
        replaced(self.installation.folder / "tls.crt", renewed.pem)
        replaced(self.installation.folder / "tls.key", renewed.key)
        for url in self.installation.cluster.webapp_urls:
            port = int(url.rpartition(":")[2])

            async def shown(port: int = port) -> bool:
                text = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
                return text.strip() == renewed.pem.strip()

            await soon(shown)

    async def cloud_token(self) -> None:
        old, new = self.scene.secret("TOKEN"), "EAArenewed"
        await self.scene.use(other_tokens=[old, new])
        await self._renewed("TOKEN", "coreapp", new)
        await self.scene.use(other_tokens=[new], expired_tokens=[old])

    async def app_secret(self) -> None:
        """The first line of the file is what Meta's side signs with."""
        old, new = self.scene.secret("APP_SECRET"), "another-app-secret"
        await self._renewed("APP_SECRET", "webapp", old, new)
        await self._renewed("APP_SECRET", "webapp", new, old)
        await self._renewed("APP_SECRET", "webapp", new)

    async def verify_token(self) -> None:
        old, new = self.scene.secret("VERIFY_TOKEN"), "another-verify-token"
        await self._renewed("VERIFY_TOKEN", "webapp", new)
        for url in self.installation.cluster.cloud_webhooks:
            query = "hub.mode=subscribe&hub.challenge=1&hub.verify_token="
            for token, status in ((new, 200), (old, 403)):
                async with self.scene.business.http.get(f"{url}?{query}{token}") as answer:
                    assert answer.status == status

    async def webhook_certificate(self) -> None:
        posts = self.scene.business.receiver.posts
        self.installation.issue("second")

        def shown() -> bool:
            subject = posts[-1].connection.transport.get_extra_info("peercert")["subject"]
            return (("commonName", "second"),) in subject

        await soon(shown)

    async def _renewed(self, name: str, role: str, *lines: str) -> None:
        """Write the file, and wait until every process of this role has read it."""
        variable = f"WAROUTER_CLOUD_{name}_FILE"

        def heard() -> Counter[str]:
            said = self.scene.said("secret changed", role)
            return Counter(line["node"] for line in said if line["setting"] == variable)

        before = heard()
        processes = [p for p in self.installation.cluster.processes.values() if p.role == role]
        replaced(self.scene.secret_file(name), *lines)
        await soon(lambda: len((heard() - before).keys()) == len(processes))


async def test_each_secret_is_rotated_without_an_error(installation: Installation) -> None:
    cluster = installation.cluster
    watcher = Watcher(cluster.webapp_urls)
    async with Customer(cluster, installation.receivers_tls()) as business, Facts(cluster) as facts:
        rotation = Rotation(installation, Scene(cluster, business, facts), watcher)
        watching = asyncio.create_task(watcher.run())
        business.start()
        try:
            for step in rotation.steps:
                acked = business.history.accepted
                await step()
                await soon(lambda acked=acked: business.history.accepted > acked + 20)
                assert set(watcher.answers) == {200}, (step.__name__, watcher.answers)
            await business.stop()
            await business.all_called_back()
            await soon(watcher.results)  # each process reports every five seconds
            assert watcher.results() == {"success"}
            assert await facts.wrong(business) == []
            assert (business.history.refused, business.history.unknown) == (set(), [])
            assert not rotation.scene.said("secret file read failed")
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await cluster.stop()
    told = [OLD_PASSWORD, NEW_PASSWORD, OLD_KEY, NEW_KEY, "EAArenewed", "another-app-secret"]
    logs = "".join(path.read_text() for path in installation.folder.rglob("log/*.log"))
    assert not [secret for secret in told if secret in logs]
    assert not [secret for secret in told if secret in os.environ.values()]
