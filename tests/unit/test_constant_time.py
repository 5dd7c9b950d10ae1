"""What a stranger gives is compared by ``hmac.compare_digest`` and by nothing else.

How long ``==`` takes says how much of a guess was right. Durations are no test, so the function is
replaced by one that says what it is told to: who compares by anything else does not obey it. The
same is asked of each module with ``==`` in place of the function, and must then fail.
"""

from __future__ import annotations

import ast
import asyncio
import hmac
import importlib.util
import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.harness.sources import FILES, SOURCE, reads_sources, tree
from warouter import _batch
from warouter.errors import ProtocolError
from warouter.link import wire
from warouter.tls import link as tls

KEYS = ("first", "second")  # in force at once, of which the second is given
RIGHT, WRONG = "second", "seconD"


class Judge:
    """In the place of ``compare_digest``: all it is asked is equal, or nothing is."""

    def __init__(self, equal: bool) -> None:
        self.equal = equal
        self.asked = 0

    def __call__(self, _one: bytes, _other: bytes) -> bool:
        self.asked += 1
        return self.equal


class Hasty(ast.NodeTransformer):
    """``==`` in place of ``compare_digest``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not _compares(node):
            return self.generic_visit(node)
        return ast.Compare(node.args[0], [ast.Eq()], [node.args[1]])


class Content(ast.NodeTransformer):
    """No further secret is tried after one that fits."""

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return ast.GeneratorExp(node.elt, node.generators)


def _compares(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", "")) == "compare_digest"


def loaded(name: str, mutant: ast.NodeTransformer | None = None) -> Any:
    """A module of its own from the source of that name."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    parsed = ast.parse(Path(spec.origin).read_text())
    if mutant is not None:
        parsed = ast.fix_missing_locations(mutant.visit(parsed))
    module = ModuleType(name)
    exec(compile(parsed, name, "exec"), vars(module))
    return module


# Each says whether the module lets in who gives this.


def signature(module: Any, given: str) -> bool:
    said = module.sign(b"{}", given).encode()
    return bool(module.is_signed(b"{}", said, KEYS))


def verify_token(module: Any, given: str) -> bool:
    listener = module.WebhookListener({"1": 1}, lambda: KEYS, lambda: RIGHT, SimpleNamespace())
    query = f"hub.mode=subscribe&hub.verify_token={given}&hub.challenge=1"
    return bool(listener._handshake(query.encode()).status == 200)


def api_key(module: Any, given: str) -> bool:
    async def refused(*_: object) -> None: ...

    async def asked() -> bool:
        module._failed, module.source_of = refused, lambda *_: "192.0.2.1"
        waits = SimpleNamespace(left=lambda *_: 0.0, judging=asyncio.Lock())
        config = SimpleNamespace(api_keys=lambda: KEYS, trusted_proxies=())
        context = SimpleNamespace(waits=waits, config=config)
        return bool(await module.check_key(context, None, given))

    return asyncio.run(asked())


def proof_of_a_webapp(module: Any, given: str) -> bool:
    proved: list[object] = []
    server = SimpleNamespace(link_key=RIGHT.encode(), proved=proved.append)
    caller = module.WebappConnection.__new__(module.WebappConnection)
    caller._server, caller._hello = server, wire.hello(bytes(wire.NONCE_SIZE))
    caller._write_plain = caller._start_session = lambda *_, **__: None
    theirs = wire.hello(secrets.token_bytes(wire.NONCE_SIZE))
    proof = wire.proof(given.encode(), b"client", caller._hello, theirs)
    with suppress(ProtocolError):
        caller.on_handshake(memoryview(theirs + proof))
    return bool(proved)


def proof_of_a_coreapp(module: Any, given: str) -> bool:
    dialled = module.CoreappConnection.__new__(module.CoreappConnection)
    dialled._hello = wire.hello(bytes(wire.NONCE_SIZE))
    dialled._server_hello = wire.hello(secrets.token_bytes(wire.NONCE_SIZE))
    dialled.address = SimpleNamespace(link_key=RIGHT.encode(), name="")
    dialled._start_session = lambda *_, **__: None
    dialled._version, dialled._deadline, dialled.proved = 2, None, False
    dialled._links = SimpleNamespace(on_ready=lambda _: None)
    proof = wire.proof(given.encode(), b"server", dialled._server_hello, dialled._hello)
    with suppress(ProtocolError):
        dialled.on_handshake(memoryview(proof))
    return bool(dialled.proved)


def envelope(module: Any, given: str) -> bool:
    sealed = module.Sealer(given.encode(), 0).seal([b"frame"])
    with suppress(ProtocolError):
        return bool(module.Opener(RIGHT.encode(), 0).open(_batch.split(sealed)[0]))
    return False


Check = Callable[[Any, str], bool]
# Where a stranger's words are compared, and how many comparisons one check of them is.
CHECKS: dict[str, tuple[Check, int]] = {
    "warouter.upstream.cloud.signature": (signature, len(KEYS)),
    "warouter.upstream.cloud.listener": (verify_token, 1),
    "warouter.api.access.attempts": (api_key, len(KEYS)),
    "warouter.link.listen": (proof_of_a_webapp, 1),
    "warouter.link.dial": (proof_of_a_coreapp, 1),
    "warouter.link.wire": (envelope, 1),
}
# The stand-in for Meta and WhatsApp keeps no secret of anybody.
ELSEWHERE = {"warouter.lab.simulator.number_authority", "warouter.lab.simulator.cloud.graph.tokens"}


def obeys(patch: pytest.MonkeyPatch, name: str, mutant: ast.NodeTransformer | None = None) -> bool:
    """Whether nothing but ``compare_digest``, asked of all secrets, decides in this module."""
    check, comparisons = CHECKS[name]
    found = []
    for given, equal in ((WRONG, True), (RIGHT, False)):
        judge = Judge(equal)
        with patch.context() as patched:
            patched.setattr(hmac, "compare_digest", judge)
            lets_in = check(loaded(name, mutant), given)
        found.append(lets_in is equal and judge.asked == comparisons)
    return all(found)


@pytest.mark.parametrize("name", CHECKS)
def test_only_compare_digest_decides(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check, _ = CHECKS[name]
    assert check(loaded(name), RIGHT)
    assert not check(loaded(name), WRONG)
    assert obeys(monkeypatch, name)
    assert not obeys(monkeypatch, name, Hasty())


@pytest.mark.parametrize("name", [name for name, (_, many) in CHECKS.items() if many > 1])
def test_the_time_does_not_tell_which_secret_fits(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not obeys(monkeypatch, name, Content())


@reads_sources
def test_every_place_that_compares_has_its_check() -> None:
    compare = {
        ".".join(("warouter", *path.relative_to(SOURCE).with_suffix("").parts))
        for path in FILES
        if any(map(_compares, ast.walk(tree(path))))
    }
    assert compare == {*CHECKS, *ELSEWHERE}


# Links are not resumed: a caller whose pin was taken away would come in by a ticket of before.


def has_ticket(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Whether a link leaves its caller with what resumes it."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname=None)
    theirs = server.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for end in (ours, theirs):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    theirs.write(b"x")
    assert ours.read(1) == b"x"
    assert ours.session is not None
    return bool(ours.session.has_ticket)


def test_a_link_leaves_no_ticket() -> None:
    coreapp, webapp = tls.fresh("coreapp"), tls.fresh("webapp")
    server = tls.server_context(coreapp)
    tls.trust(server, webapp.der)
    tickets = partial(has_ticket, server, tls.client_context(webapp))
    assert not tickets()
    server.num_tickets = 2  # the mutant
    assert tickets()
