"""S14 and S15 at callbacks: where they may go, and how a receiver knows who sent them.

Every URL is tried for real, against a listener that counts connections.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest
from standardwebhooks.webhooks import Webhook
from trustme import CA

from tests.harness import inner
from tests.harness.callbacks import LOOPBACK, Owner, event, ids, running, settings_of
from tests.harness.certificates import issued, text_of
from tests.harness.receiver import Post, Receiver, Reply
from tests.harness.wait import Watch, soon
from warouter.errors import ConfigError
from warouter.kinds import INBOUND, STATUS
from warouter.net.egress import client_certificate
from warouter.tls import pem
from warouter.webhook.post_record import PostResult

# {port} is the trap's.
OTHER_FORMS = [
    "http://public.example\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\.public.example/",
    "http:\\\\127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\r\nHost: a:{port}/",
    "http://[::1:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://127.0.0.1:{port}:443/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:99999/",
    "http://:{port}/",
    "http://.:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "unix:///run/postgresql",
    "javascript:alert(1)",
]
NAMES = {
    "rebound.example": ["127.0.0.1"],
    "both.example": ["::1", "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
}
HOSTS = ["127.0.0.2", *inner.HOSTS, *NAMES, "rebound.example."]
FORMS = [f"http://{host}:{{port}}/hook" for host in HOSTS] + OTHER_FORMS
assert len(set(FORMS)) >= 60


Names = dict[str, Any]


class Trap:
    """Counts connections to one port on every address of this machine."""

    def __init__(self) -> None:
        self.connections = 0

    async def __aenter__(self) -> Self:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        self._server = await asyncio.start_server(self._seen, sock=sock)
        self.port = sock.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def _seen(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What names resolve to: a list of addresses, or of lists, one for each lookup.

    Numbers and localhost are left to the system.
    """
    table: Names = dict(NAMES)
    lookup = socket.getaddrinfo
    counts: dict[str, int] = {}

    def look_up(host: Any, port: int, *args: Any, **kwargs: Any) -> Any:
        name = host.rstrip(".") if isinstance(host, str) else host
        if name in table:
            found = table[name]
            if isinstance(found[0], list):
                n = counts[name] = counts.get(name, -1) + 1
                found = found[min(n, len(found) - 1)]
            return [_entry(address, port) for address in found]
        if host == "localhost" or not any(c.isalpha() for c in str(host)) or ":" in str(host):
            return lookup(host, port, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "unknown here")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


def _entry(address: str, port: int) -> Any:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


async def tried(owner: Owner, url: str, bundle: str = "", **options: Any) -> dict[PostResult, int]:
    """Offer one event for this URL; the results of its POSTs, none if the URL was refused."""
    owner.settings = settings_of(url)
    async with running(owner, timeout=5.0, **options) as callbacks:
        if not callbacks.receiver.url:
            return {}
        callbacks.receiver.trust(bundle)
        callbacks.add([event(1)])
        await owner.until(lambda: owner.parked or owner.settled)
        return dict(callbacks.requests)


class TestAddresses:
    @pytest.mark.parametrize("form", FORMS)
    async def test_no_form_of_an_inner_address_is_connected_to(
        self, owner: Owner, names: Names, form: str
    ) -> None:
        async with Trap() as trap:
            results = await tried(owner, form.format(port=trap.port), allow_private=())
            assert trap.connections == 0
        assert PostResult("status_change", "success") not in results
        assert not owner.settled

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "rebound.example", "localhost"])
    async def test_the_trap_would_have_seen_it(self, owner: Owner, names: Names, host: str) -> None:
        """The same forms once their network is listed."""
        networks = (*LOOPBACK, ipaddress.ip_network("::1/128"))
        async with Trap() as trap:
            url = f"http://{host}:{trap.port}/hook"
            await tried(owner, url, allow_private=networks)
            assert trap.connections > 0

    async def test_a_name_that_is_rebound_is_checked_at_each_connection(
        self, owner: Owner, receiver: Receiver, names: Names
    ) -> None:
        """First the allowed address, where nobody listens; then the trap's, at the retry."""
        async with Trap() as trap:
            names["turns.example"] = [["127.0.0.2"], ["127.0.0.1"]]
            url = f"http://turns.example:{trap.port}/"
            allowed = (ipaddress.ip_network("127.0.0.2/32"),)
            await tried(owner, url, allow_private=allowed)
            seen = trap.connections  # at the allowed address
            assert seen > 0
            results = await tried(Owner(owner.watch, url), url, allow_private=allowed)
            assert trap.connections == seen
        assert results == {PostResult("status_change", "address"): 1}

    @pytest.mark.parametrize("order", [["::1", "127.0.0.2"], ["127.0.0.2", "::1"]])
    async def test_of_a_mix_of_addresses_only_allowed_ones_are_connected_to(
        self, watch: Watch, names: Names, order: list[str]
    ) -> None:
        good = await Receiver(host="127.0.0.2", watch=watch).start()
        names["mix.example"] = order
        url = f"http://mix.example:{good.port}/"
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.bind(("::1", good.port))
        seen: list[int] = []
        bad = await asyncio.start_server(lambda _r, w: (seen.append(1), w.close()), sock=sock)
        owner = Owner(watch, url)
        try:
            allowed = (ipaddress.ip_network("127.0.0.2/32"),)
            assert await tried(owner, url, allow_private=allowed) == {
                PostResult("status_change", "success"): 1
            }
        finally:
            bad.close()
            await good.stop()
        assert seen == []

    async def test_a_redirect_to_an_inner_address_is_a_failure_and_not_followed(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        async with Trap() as trap:
            to = f"http://127.0.0.1:{trap.port}/"
            receiver.answer = lambda _post: Reply(status=307, headers={"Location": to})
            assert await tried(owner, receiver.url) == {PostResult("status_change", "307"): 1}
            assert trap.connections == 0

    async def test_proxies_of_the_environment_are_not_used(
        self, owner: Owner, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with Trap() as trap:
            for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
            await tried(owner, receiver.url)
            assert trap.connections == 0
        assert len(owner.settled) == 1

    @pytest.mark.parametrize(
        ("url", "results"),
        [
            # Judged at the connection: by its name alone nobody knows where it leads.
            ("http://hook.example:9/", {PostResult("status_change", "address"): 1}),
            ("{receiver}", {PostResult("status_change", "success"): 1}),  # its network is listed
            ("http://8.8.8.8:22/", {}),  # refused at once
        ],
    )
    async def test_a_public_address_is_bound_to_the_listed_ports(
        self, owner: Owner, receiver: Receiver, names: Names, url: str, results: Any
    ) -> None:
        names["hook.example"] = ["8.8.8.8"]
        assert await tried(owner, url.format(receiver=receiver.url), ports={443}) == results


def secret(n) -> str:
    return "whsec_" + base64.b64encode(random.Random(n).randbytes(24)).decode()


class TestSignatures:
    async def test_the_library_verifies_a_thousand_through_a_rotation(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        """Old, then both, then new: a receiver that changes in the midst misses nothing."""
        old, new = secret(1), secret(2)
        known = [old]

        def verify(post: Post) -> int:
            for one in known:
                Webhook(one).verify(post.body, dict(post.headers))
            return 200

        receiver.answer = verify
        owner.settings = settings_of(receiver.url, secrets=[old])
        async with running(owner) as callbacks:
            for n, now_known in enumerate(([old], [old, new], [new])):
                known[:] = now_known
                owner.settings = settings_of(receiver.url, secrets=known)
                for i in range(334):
                    kind = STATUS if i % 2 else INBOUND
                    callbacks.add([event(n * 334 + i, f"r{i}", kind=kind)])
                    if i % 20 == 0:
                        await owner.until(lambda: callbacks.queue_size == 0)
                await owner.all_settled((n + 1) * 334)
        assert len(ids(receiver.posts)) == 1002
        assert not receiver.wrong
        assert not owner.parked

    async def test_a_retry_has_the_same_id(self, owner: Owner, receiver: Receiver) -> None:
        receiver.answer = 503
        owner.retries_at_once = True
        owner.settings = settings_of(receiver.url, secrets=[secret(1)])
        async with running(owner) as callbacks:
            callbacks.add([event(1)])
            await owner.until(lambda: len(receiver.posts) >= 3)
            receiver.answer = 200
            await owner.all_settled(1)
        assert len({r.headers["webhook-id"] for r in receiver.posts}) == 1


def files(folder: Path, authority: CA, name: str) -> tuple[str, str]:
    """A certificate of this name and its key."""
    leaf = authority.issue_cert("localhost", common_name=name)
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    leaf.cert_chain_pems[0].write_to_path(str(cert))
    leaf.private_key_pem.write_to_path(str(key))
    return str(cert), str(key)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CA:
    """One that the system trusts."""
    return trusted(monkeypatch, tmp_path, CA())


def trusted(monkeypatch: pytest.MonkeyPatch, folder: Path, authority: CA) -> CA:
    """The system trusts this one, and nobody else."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    return authority


@pytest.fixture
async def served(authority: CA, watch: Watch) -> AsyncIterator[Receiver]:
    """It asks for a certificate of the authority."""
    pair = issued(authority)
    context = pem.server_context(pair.pem + pair.key)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with Receiver(tls=context, watch=watch) as receiver:
        yield receiver


TAKEN, REFUSED = PostResult("status_change", "success"), PostResult("status_change", "tls")


class TestTls:
    @pytest.mark.parametrize(
        ("shows", "by_system", "by_bundle", "results"),
        [
            (True, True, False, ["success"]),
            (True, False, True, ["success"]),
            (False, True, False, ["tls", "connection"]),
            (True, False, False, ["tls"]),
        ],
        ids=["known to the system", "known to the webhook", "we show nothing", "known to nobody"],
    )
    async def test_each_side_shows_the_other_a_certificate(
        self,
        owner: Owner,
        authority: CA,
        served: Receiver,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        shows: bool,
        by_system: bool,
        by_bundle: bool,
        results: list[str],
    ) -> None:
        own = client_certificate(*files(tmp_path, authority, "warouter")) if shows else None
        if not by_system:
            trusted(monkeypatch, tmp_path, CA())
        bundle = text_of(authority) if by_bundle else ""
        found = await tried(owner, served.url, bundle, client=own)
        ((label, count),) = found.items()
        assert (label.result in results, count) == (True, 1)
        assert len(served.posts) == ("success" in results)
        for post in served.posts:
            shown = post.connection.transport.get_extra_info("peercert")["subject"]
            assert (("commonName", "warouter"),) in shown

    async def test_the_bundle_alone_decides_and_changes_while_callbacks_run(
        self, owner: Owner
    ) -> None:
        root = CA()
        served = issued(root)
        context = pem.server_context(served.pem + served.key)
        async with Receiver(tls=context, watch=owner.watch) as receiver:
            owner.settings = settings_of(receiver.url)
            owner.retries_at_once = True
            async with running(owner) as callbacks:
                callbacks.add([event(1)])
                await soon(lambda: callbacks.requests[REFUSED] >= 1)  # no system knows this root
                callbacks.receiver.trust(text_of(CA()) + text_of(root))
                callbacks.settings_changed()
                await soon(lambda: len(owner.settled) == 1)
                callbacks.receiver.trust(text_of(CA()))
                refused = callbacks.requests[REFUSED]
                callbacks.add([event(2)])  # not on the connection that is kept alive
                await soon(lambda: callbacks.requests[REFUSED] > refused)
                assert len(owner.settled) == 1
                callbacks.receiver.trust(served.pem)  # the very certificate will do as well
                callbacks.settings_changed()
                await soon(lambda: len(owner.settled) == 2)
                callbacks.receiver.trust("")
                refused = callbacks.requests[REFUSED]
                callbacks.add([event(3)])
                await soon(lambda: callbacks.requests[REFUSED] > refused)
                assert callbacks.requests[TAKEN] == 2
                with pytest.raises(ssl.SSLError):
                    callbacks.receiver.trust("no certificate")
            assert len({post.connection for post in receiver.posts}) == 2

    async def test_a_renewed_certificate_is_shown_while_callbacks_run(
        self,
        owner: Owner,
        authority: CA,
        served: Receiver,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """First its certificate, then its key, as whoever renews them may write them."""
        caplog.set_level(logging.INFO)
        cert, key = files(tmp_path, authority, "first")
        owner.settings = settings_of(served.url)
        async with running(owner, client=client_certificate(cert, key)) as callbacks:
            for n, name in enumerate(("first", "second", "third")):
                if n:
                    for new, path in zip(
                        files(tmp_path, authority, name), (cert, key), strict=True
                    ):
                        os.replace(new, path)
                        callbacks.add([event(2 * n + (path == key), f"r{n}{path == key}")])
                        await owner.until(lambda: callbacks.queue_size == 0)
                callbacks.add([event(100 + n, f"s{n}")])
                await owner.until(lambda: callbacks.queue_size == 0)
                shown = served.posts[-1].connection.transport.get_extra_info("peercert")["subject"]
                assert (("commonName", name),) in shown
            assert callbacks.requests == {TAKEN: len(served.posts)}
        said = [r.message for r in caplog.records if r.message.startswith("certificate ")]
        assert said == ["certificate refresh failed", "certificate activated"] * 2
        assert not owner.parked

    def test_bad_tls_files_are_named(self, tmp_path: Path) -> None:
        cert, key = files(tmp_path, CA(), "warouter")
        assert client_certificate("", "") is None
        for one, other in ((cert, ""), ("", key), (cert, str(tmp_path / "none")), (key, cert)):
            with pytest.raises(ConfigError, match="WAROUTER_WEBHOOK_CLIENT_CERT"):
                client_certificate(one, other)
