"""Mutual TLS of links: impostors at either end learn nothing, and who is who is said by node rows.

Real listeners and real handshakes; the rows are a list, read as a coreapp reads those of its
database.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.harness.linked import (
    OWNER,
    Coreapp,
    Rows,
    credential,
    outgoing,
    owned_by,
    submit,
    webapp,
)
from tests.harness.wait import PATIENCE, soon
from warouter import _batch
from warouter.errors import NotReady, OutcomeUnknown
from warouter.link import callers, listen, wire
from warouter.link.client import Links
from warouter.link.credential import Credential
from warouter.link.pins import NONE_SHOWN, UNKNOWN
from warouter.tls import link as tls
from warouter.tls.certificate import self_signed

HELLO = 4 + wire.HELLO_SIZE
SECRET = b"the body that nobody else may see"


@pytest_asyncio.fixture
async def owner() -> AsyncIterator[Coreapp]:
    """It listens for other hosts, and knows of nobody."""
    owner = Coreapp()
    await owner.start(host="core.example")
    yield owner
    await owner.stop()


@asynccontextmanager
async def caller(owner: Coreapp, hold: float, shown: Credential) -> AsyncIterator[Links]:
    """A webapp that knows the owner's row, and shows this."""
    async with webapp(hold, credential=shown) as links:
        links.set_addresses(owner.known)
        links.set_map(owned_by(OWNER))
        yield links


async def heard(owner: Coreapp, shown: tls.LinkCertificate | None) -> bytes:
    """What the link's port says to a caller with this certificate, who says nothing."""
    context = tls.client_context(shown or tls.fresh("unused"))
    if shown is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", owner.port, ssl=context)
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.readexactly(HELLO)
    except (OSError, asyncio.IncompleteReadError) as error:
        return error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
    finally:
        writer.transport.abort()


async def known(owner: Coreapp, rows: Iterable[bytes | None]) -> None:
    """The owner has read these rows."""
    owner.rows[:] = rows
    assert owner.callers is not None
    reads = owner.reads
    owner.callers.wake()
    await soon(lambda: owner.reads > reads)


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.error for r in caplog.records if r.message == "link handshake failed"]


async def said(caplog: pytest.LogCaptureFixture) -> str:
    """The one refusal that is logged."""
    await soon(lambda: refusals(caplog))
    (why,) = refusals(caplog)
    return why


async def test_both_ends_show_what_their_rows_say(owner: Coreapp) -> None:
    async with webapp(rows=owner.rows) as links:
        links.set_addresses(owner.known)
        links.set_map(owned_by(OWNER))
        await submit(links)
        assert owner.webapp._transport is not None
        shown = owner.webapp._transport.get_extra_info("ssl_object")
        assert [shown.getpeercert(binary_form=True)] == owner.rows


async def test_a_caller_whose_row_was_not_read_yet_is_let_in_and_not_logged(
    owner: Coreapp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As each process that starts: its row is read because of its call, not by polling."""
    monkeypatch.setattr(callers, "POLL_SECONDS", 3600.0)
    await known(owner, [])
    async with webapp(rows=owner.rows) as links:
        links.set_addresses(owner.known)
        links.set_map(owned_by(OWNER))
        await submit(links)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [(lambda: None, NONE_SHOWN), (lambda: past(), UNKNOWN)],
    ids=["none", "one that ended"],
)
async def test_a_peer_without_a_certificate_that_is_pinned_is_refused_in_one_sentence(
    owner: Coreapp,
    caplog: pytest.LogCaptureFixture,
    shown: Callable[[], tls.LinkCertificate | None],
    sentence: str,
) -> None:
    await known(owner, [tls.fresh("webapp").der])
    assert await heard(owner, shown()) == b""
    assert await said(caplog) == sentence


async def test_another_certificate_of_the_same_name_is_refused(
    owner: Coreapp, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = tls.fresh("webapp"), tls.fresh("webapp")
    await known(owner, [right.der])
    assert len(await heard(owner, right)) == HELLO
    assert await heard(owner, wrong) == b""
    assert await said(caplog) == UNKNOWN
    (record,) = [r for r in caplog.records if r.message == "link handshake failed"]
    assert record.peer == "127.0.0.1"


async def test_an_ended_incarnation_is_refused(
    owner: Coreapp, caplog: pytest.LogCaptureFixture
) -> None:
    ended, alive = tls.fresh("ended"), tls.fresh("alive")
    await known(owner, [ended.der, alive.der])
    assert len(await heard(owner, ended)) == HELLO
    await known(owner, [alive.der])
    assert await heard(owner, ended) == b""
    assert len(await heard(owner, alive)) == HELLO
    assert await said(caplog) == UNKNOWN
    assert owner.callers is not None
    assert owner.callers._trusting.cert_store_stats()["x509"] == 1  # it does not pile up


async def test_a_certificate_that_openssl_still_trusts_is_not_enough(owner: Coreapp) -> None:
    """The rows are asked after the handshake, whatever the list of the handshake holds."""
    ended = tls.fresh("ended")
    await known(owner, [tls.fresh("alive").der])
    assert owner.callers is not None
    tls.trust(owner.callers._trusting, ended.der)
    assert await heard(owner, ended) == b""


async def test_the_key_alone_opens_no_link(
    owner: Coreapp, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has read the owner's row, and cannot write one."""
    await known(owner, [tls.fresh("webapp").der])
    async with caller(owner, 1.0, credential([])) as thief:
        with pytest.raises(NotReady):
            await submit(thief)
    assert owner.came.empty()
    assert owner.server.webapps == 0
    assert await said(caplog) == UNKNOWN


async def test_a_certificate_alone_opens_no_link(
    owner: Coreapp, caplog: pytest.LogCaptureFixture
) -> None:
    """The proof of the key comes after TLS, as before."""
    owner.known[OWNER] = owner.known[OWNER]._replace(link_key=bytes(32))
    async with caller(owner, 1.0, credential(owner.rows)) as impostor:
        with pytest.raises(NotReady):
            await submit(impostor)
    assert owner.came.empty()
    assert await said(caplog) == "link handshake with a wrong key"


class Impostor:
    """It listens where the coreapp should, with a certificate of its own, and begins as that one
    would. ``got`` is all that it can decrypt.
    """

    def __init__(self, ask: bool) -> None:
        self._context = tls.server_context(tls.fresh("core.example"))
        self._context.verify_mode = ssl.CERT_OPTIONAL if ask else ssl.CERT_NONE
        self.got: list[bytes] = []
        self.upstream = ("", 0)

    async def __aenter__(self) -> Impostor:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await self._hello())
        try:
            self.got.append(await reader.read())
        except ConnectionError:
            self.got.append(b"")
        writer.transport.abort()

    async def _hello(self) -> bytes:
        return _batch.pack([wire.hello(bytes(wire.NONCE_SIZE))])


class InTheMiddle(Impostor):
    """It opens a link of its own to the coreapp, and passes on what that says."""

    def __init__(self, owner: Coreapp) -> None:
        super().__init__(ask=False)
        self._owner = owner
        self.said: list[bytes] = []  # by the coreapp

    async def _hello(self) -> bytes:
        self.said.append(await heard(self._owner, tls.fresh("middle")))
        return self.said[-1] or await super()._hello()


@pytest.mark.parametrize("ask", [False, True], ids=["asks for nothing", "asks for a certificate"])
async def test_an_impostor_at_a_coreapp_s_port_learns_nothing(
    owner: Coreapp, caplog: pytest.LogCaptureFixture, ask: bool
) -> None:
    async with Impostor(ask) as impostor:
        owner.known[OWNER] = owner.known[OWNER]._replace(port=impostor.port)
        async with caller(owner, 1.0, credential(owner.rows)) as links:
            with pytest.raises(NotReady):
                await links.submit(outgoing(0, SECRET))
        if not ask:  # else the handshake fails already
            await soon(lambda: impostor.got)
        assert b"".join(impostor.got) == b""
    closed = [r.error for r in caplog.records if "broke the protocol" in r.message]
    assert set(closed) <= {"the coreapp's certificate is not the one in its node row"}
    assert bool(closed) != ask


async def test_somebody_in_the_middle_learns_nothing(owner: Coreapp) -> None:
    await known(owner, [tls.fresh("webapp").der])
    async with InTheMiddle(owner) as middle:
        owner.known[OWNER] = owner.known[OWNER]._replace(port=middle.port)
        async with caller(owner, 1.5, credential(owner.rows)) as links:
            with pytest.raises(NotReady):
                await links.submit(outgoing(0, SECRET))
        await soon(lambda: middle.got)
        assert b"".join(middle.said) == b"".join(middle.got) == b""
    assert owner.came.empty()


async def test_the_wire_shows_neither_key_nor_body(owner: Coreapp) -> None:
    wire_bytes = bytearray()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(1 << 16):
            wire_bytes.extend(part)
            writer.write(part)

    async def tap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection("127.0.0.1", owner.port)
        try:
            await asyncio.gather(pump(reader, far), pump(near, writer))
        except ConnectionError:
            pass
        finally:
            far.transport.abort()
            writer.transport.abort()

    server = await asyncio.start_server(tap, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    owner.known[OWNER] = owner.known[OWNER]._replace(port=port)
    async with caller(owner, 8.0, credential(owner.rows)) as links:
        await links.submit(outgoing(0, SECRET))
    server.close()
    assert len(wire_bytes) > len(SECRET)
    assert owner.key not in wire_bytes
    assert SECRET not in wire_bytes


def past() -> tls.LinkCertificate:
    """It ended at the moment it was made."""
    cert, key = self_signed(name := uuid4().hex, [name], days=0)
    return tls.LinkCertificate(ssl.PEM_cert_to_DER_cert(cert.decode()), (cert + key).decode())


async def test_a_process_outlives_its_certificate() -> None:
    """The pin decides, at both ends."""
    owner, shown = Coreapp(), credential([])
    owner.credential._certificate, shown._certificate = past(), past()
    await owner.start(host="core.example")
    await known(owner, [shown.certificate.der])
    async with caller(owner, 8.0, shown) as links:
        await submit(links)
    await owner.stop()


async def test_strangers_neither_fill_the_log_nor_keep_the_database_busy(
    owner: Coreapp, caplog: pytest.LogCaptureFixture
) -> None:
    await known(owner, [tls.fresh("webapp").der])
    loop, before = asyncio.get_running_loop(), owner.reads
    began, stranger = loop.time(), tls.fresh("stranger")
    for _ in range(40):
        assert await heard(owner, stranger) == b""
    await soon(lambda: refusals(caplog))
    assert owner.reads - before <= (loop.time() - began) / callers.GAP_SECONDS + 2
    assert refusals(caplog) == [UNKNOWN]


async def test_while_the_database_is_away_those_who_were_known_stay_known(
    owner: Coreapp, monkeypatch: pytest.MonkeyPatch
) -> None:
    webapp, stranger = tls.fresh("webapp"), tls.fresh("stranger")
    await known(owner, [webapp.der])

    async def away() -> Rows:
        owner.reads += 1
        raise OutcomeUnknown("away")

    assert owner.callers is not None
    monkeypatch.setattr(owner.callers, "_read", away)
    before = owner.reads
    owner.callers.wake()
    await soon(lambda: owner.reads > before)
    assert len(await heard(owner, webapp)) == HELLO
    assert await heard(owner, stranger) == b""


async def test_a_damaged_certificate_in_a_row_keeps_nobody_else_out(
    owner: Coreapp, caplog: pytest.LogCaptureFixture
) -> None:
    webapp = tls.fresh("webapp")
    await known(owner, [b"damaged", webapp.der])
    assert len(await heard(owner, webapp)) == HELLO
    (record,) = caplog.records
    assert record.message == "node certificate rejected"


async def test_strangers_give_their_places_back(owner: Coreapp) -> None:
    await known(owner, [tls.fresh("webapp").der])
    for _ in range(listen.MAX_STRANGERS + 1):
        await heard(owner, None)
    await soon(lambda: len(owner.server._strangers) == 0)


async def test_a_certificate_is_made_and_published_once_for_all_links() -> None:
    rows: Rows = []
    shown = credential(rows)
    assert rows == []  # on loopback nobody asks
    contexts = await asyncio.gather(*(shown.context() for _ in range(5)))
    assert len(set(map(id, contexts))) == 1
    assert rows == [shown.certificate.der]


async def test_a_certificate_that_could_not_be_published_is_published_later() -> None:
    answers: list[Exception] = [OutcomeUnknown("away")]
    rows: Rows = []

    async def publish(der: bytes) -> None:
        if answers:
            raise answers.pop()
        rows.append(der)

    shown = Credential("webapp", publish)
    with pytest.raises(OutcomeUnknown):
        await shown.context()
    await shown.context()
    assert rows == [shown.certificate.der]
