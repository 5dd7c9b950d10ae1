"""S14 and S15 at callbacks: where they may go, and how a receiver knows who sent them.

Every URL is tried for real, against a listener that counts connections.
"""

import asyncio
import base64
import contextlib
import datetime
import ipaddress
import json
import random
import socket
import ssl

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook

from tests.harness import inner
from tests.integration.test_webhook import (
    LOOPBACK,
    Owner,
    Receiver,
    Watch,
    all_settled,
    event,
    events_of,
    running,
    settings_of,
)
from warouter.app_settings import ApplicationSettings, Webhooks
from warouter.errors import ConfigError
from warouter.kinds import INBOUND, STATUS
from warouter.net.egress import client_certificate
from warouter.webhook.callbacks import Result

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


class Trap:
    """Counts connections to one port on every address of this machine."""

    def __init__(self):
        self.connections = 0

    async def __aenter__(self):
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        self._server = await asyncio.start_server(self._seen, sock=sock)
        self.port = sock.getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    def _seen(self, _reader, writer):
        self.connections += 1
        writer.close()


@pytest.fixture
def names(monkeypatch):
    """What names resolve to: a list of addresses, or of lists, one for each lookup.

    Numbers and localhost are left to the system.
    """
    table = dict(NAMES)
    lookup = socket.getaddrinfo
    counts = {}

    def look_up(host, port, *args, **kwargs):
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


def _entry(address, port):
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


@pytest.fixture
async def watch():
    return Watch()


@pytest.fixture
async def receiver(watch):
    receiver = await Receiver(watch).start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def owner(watch, receiver):
    return Owner(watch, receiver.url)


async def tried(owner, watch, url, **options):
    """Offer one event for this URL; the results of its POSTs, none if the URL was refused."""
    owner.settings = settings_of(url)
    async with running(owner, timeout=5.0, **options) as callbacks:
        if not callbacks.receiver.url:
            return {}
        callbacks.add(event(1))
        await watch.until(lambda: owner.parked or owner.settled)
        return dict(callbacks.requests)


class TestAddresses:
    @pytest.mark.parametrize("form", FORMS)
    async def test_no_form_of_an_inner_address_is_connected_to(self, owner, watch, names, form):
        async with Trap() as trap:
            results = await tried(owner, watch, form.format(port=trap.port), allow_private=())
            assert trap.connections == 0
        assert Result("status_change", "success") not in results
        assert not owner.settled

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "rebound.example", "localhost"])
    async def test_the_trap_would_have_seen_it(self, owner, watch, names, host):
        """The same forms once their network is listed."""
        networks = (*LOOPBACK, ipaddress.ip_network("::1/128"))
        async with Trap() as trap:
            url = f"http://{host}:{trap.port}/hook"
            await tried(owner, watch, url, allow_private=networks)
            assert trap.connections > 0

    async def test_a_name_that_is_rebound_is_checked_at_each_connection(
        self, owner, receiver, watch, names
    ):
        """First the allowed address, where nobody listens; then the trap's, at the retry."""
        async with Trap() as trap:
            names["turns.example"] = [["127.0.0.2"], ["127.0.0.1"]]
            url = f"http://turns.example:{trap.port}/"
            allowed = (ipaddress.ip_network("127.0.0.2/32"),)
            await tried(owner, watch, url, allow_private=allowed)
            seen = trap.connections  # at the allowed address
            assert seen > 0
            results = await tried(Owner(watch, url), watch, url, allow_private=allowed)
            assert trap.connections == seen
        assert results == {Result("status_change", "address"): 1}

    @pytest.mark.parametrize("order", [["::1", "127.0.0.2"], ["127.0.0.2", "::1"]])
    async def test_of_a_mix_of_addresses_only_allowed_ones_are_connected_to(
        self, watch, names, order
    ):
        good = await Receiver(watch, "127.0.0.2").start()
        names["mix.example"] = order
        url = f"http://mix.example:{good.port}/"
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.bind(("::1", good.port))
        seen = []
        bad = await asyncio.start_server(lambda _r, w: (seen.append(1), w.close()), sock=sock)
        owner = Owner(watch, url)
        try:
            allowed = (ipaddress.ip_network("127.0.0.2/32"),)
            assert await tried(owner, watch, url, allow_private=allowed) == {
                Result("status_change", "success"): 1
            }
        finally:
            bad.close()
            await good.stop()
        assert seen == []

    async def test_a_redirect_to_an_inner_address_is_a_failure_and_not_followed(
        self, owner, receiver, watch
    ):
        async with Trap() as trap:
            to = f"http://127.0.0.1:{trap.port}/"
            receiver.answer = lambda _post: web.Response(status=307, headers={"Location": to})
            assert await tried(owner, watch, receiver.url) == {Result("status_change", "307"): 1}
            assert trap.connections == 0

    async def test_proxies_of_the_environment_are_not_used(
        self, owner, receiver, watch, monkeypatch
    ):
        async with Trap() as trap:
            for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
            await tried(owner, watch, receiver.url)
            assert trap.connections == 0
        assert len(owner.settled) == 1


class TestPorts:
    async def test_a_public_address_is_bound_to_the_listed_ports(self, watch, names):
        """Judged at the connection: by its name alone nobody knows where it leads."""
        names["hook.example"] = ["8.8.8.8"]
        url = "http://hook.example:9/"
        owner = Owner(watch, url)
        results = await tried(owner, watch, url, ports={443, 8443})
        assert results == {Result("status_change", "address"): 1}

    async def test_a_listed_network_may_use_any_port(self, owner, receiver, watch):
        assert await tried(owner, watch, receiver.url, ports={443}) == {
            Result("status_change", "success"): 1
        }

    async def test_a_literal_public_address_is_refused_at_once(self, owner, watch):
        assert await tried(owner, watch, "http://8.8.8.8:22/", ports={80}) == {}


def secret(n):
    return "whsec_" + base64.b64encode(random.Random(n).randbytes(24)).decode()


def signing(url, *secrets, **webhooks):
    return ApplicationSettings(
        callback_backoff_delay_ms=20,
        max_callback_backoff_delay_ms=200,
        webhooks=Webhooks(url=url, secrets=secrets, **webhooks),
    )


class TestSignatures:
    async def test_the_library_verifies_a_thousand_through_a_rotation(self, owner, receiver, watch):
        """Old, then both, then new: a receiver that changes in the midst misses nothing."""
        old, new = secret(1), secret(2)
        known = [old]
        verified = []

        async def handle(request):
            body = await request.read()
            for one in known:
                Webhook(one).verify(body, request.headers)
            verified.extend(e["id"] for e in events_of(json.loads(body)))
            watch.notify()
            return web.Response()

        async with serving(handle) as url:
            owner.settings = signing(url, old)
            async with running(owner) as callbacks:
                phases = (([old], (old,)), ([old, new], (old, new)), ([new], (new,)))
                for n, (now_known, secrets) in enumerate(phases):
                    known[:] = now_known
                    owner.settings = signing(url, *secrets)
                    for i in range(334):
                        kind = STATUS if i % 2 else INBOUND
                        callbacks.add(event(n * 334 + i, f"r{i}", kind=kind))
                        if i % 20 == 0:
                            await watch.until(lambda: callbacks.queue_size == 0)
                    await all_settled(owner, (n + 1) * 334)
        assert len(verified) == 1002
        assert not owner.parked

    async def test_a_retry_has_the_same_id(self, owner, receiver, watch):
        receiver.answer = 503
        owner.retries_at_once = True
        owner.settings = signing(receiver.url, secret(1))
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: len(receiver.requests) >= 3)
            receiver.answer = 200
            await all_settled(owner, 1)
        assert len({r.headers["webhook-id"] for r in receiver.requests}) == 1

    async def test_without_a_secret_there_is_no_signature(self, owner, receiver):
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await all_settled(owner, 1)
        (request,) = receiver.requests
        assert not [name for name in request.headers if name.lower().startswith("webhook-")]


@contextlib.asynccontextmanager
async def serving(handle, context=None):
    """The URL of a receiver with this handler."""
    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    scheme = "https" if context else "http"
    try:
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def noting(seen):
    async def handle(request):
        seen.append(request)
        return web.Response()

    return handle


class Authority:
    """A CA and certificates of it as PEM files in a folder."""

    def __init__(self, folder, name):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name(name)
        ca = x509.BasicConstraints(ca=True, path_length=0)
        certificate = _certificate(self._name, self._name, self._key, self._key, ca)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name):
        key = ec.generate_private_key(ec.SECP256R1())
        alt = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = _certificate(_common_name(name), self._name, key, self._key, alt)
        cert, private = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(cert), str(private)


def _common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject, issuer, key, signer, extension):
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(signer, hashes.SHA256())
    )


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path):
        return Authority(tmp_path, "ca")

    @pytest.fixture
    def server(self, authority):
        """Asks for a certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("server"))
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def test_the_client_certificate_is_shown(
        self, owner, watch, authority, server, monkeypatch
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))  # the system's trusted ones
        shown = []

        async def handle(request):
            shown.append(request.transport.get_extra_info("peercert")["subject"])
            return web.Response()

        async with serving(handle, server) as url:
            own = client_certificate(*authority.issue("warouter"))
            assert await tried(owner, watch, url, client=own) == {
                Result("status_change", "success"): 1
            }
        assert shown == [((("commonName", "warouter"),),)]

    async def test_it_is_shown_to_a_receiver_of_the_webhook_s_own_ca_too(
        self, owner, watch, authority, server
    ):
        async with serving(noting([]), server) as url:
            own = client_certificate(*authority.issue("warouter"))
            owner.settings = settings_of(url)
            async with running(owner, timeout=5.0, client=own) as callbacks:
                callbacks.trust(authority.file.read_text())
                callbacks.add(event(1))
                await watch.until(lambda: owner.parked or owner.settled)
                assert dict(callbacks.requests) == {Result("status_change", "success"): 1}

    async def test_without_one_such_a_receiver_is_a_failure(
        self, owner, watch, authority, server, monkeypatch
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        seen = []
        async with serving(noting(seen), server) as url:
            (result,) = await tried(owner, watch, url, client=None)
        assert result.result in ("tls", "connection")
        assert seen == []

    async def test_a_server_of_an_unknown_authority_is_refused(
        self, owner, watch, authority, server, tmp_path, monkeypatch
    ):
        other = Authority(tmp_path, "other")
        monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
        seen = []
        async with serving(noting(seen), server) as url:
            own = client_certificate(*authority.issue("warouter"))
            results = await tried(owner, watch, url, client=own)
        assert results == {Result("status_change", "tls"): 1}
        assert seen == []

    def test_what_is_wrong_with_the_files(self, authority, tmp_path):
        cert, key = authority.issue("warouter")
        assert client_certificate("", "") is None
        for one, other in ((cert, ""), ("", key), (cert, str(tmp_path / "none")), (key, cert)):
            with pytest.raises(ConfigError, match="WAROUTER_WEBHOOK_CLIENT_CERT"):
                client_certificate(one, other)
