"""Certificates: what is taken, what is refused, and that no key ever comes back."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from trustme import CA, KeyType

from tests.harness.api import Answer, Api
from tests.harness.certificates import Pair, alone, in_pem, issued, key_of, text_of
from warouter.tls.certificate import checked_pair

EXTERNAL = "/v1/certificates/external"
WEBHOOKS = "/v1/certificates/webhooks/ca"
_ROOT = CA()
_MIDDLE = _ROOT.create_child_ca()
ROOT, MIDDLE = text_of(_ROOT), text_of(_MIDDLE)
LEAF = issued(_MIDDLE)
OTHER = alone("other")
RSA = issued(_ROOT, key_type=KeyType.RSA)
HEADERS = {"Content-Type": "text/plain"}


async def post(api: Api, path: str, text: str | bytes) -> Answer:
    data = text.encode() if isinstance(text, str) else text
    return await api.call("POST", path, data=data, headers=HEADERS, token=api.admin)


def forged(good: Any) -> rsa.RSAPrivateKey:
    """Of the right form; what it signs, nobody can verify."""
    n = good.private_numbers()
    wrong = rsa.RSAPrivateNumbers(
        n.p, n.q, n.d - 2, n.dmp1 - 2, n.dmq1 - 2, n.iqmp, n.public_numbers
    )
    return wrong.private_key(unsafe_skip_rsa_key_validation=True)


def of_bits(bits: int) -> Pair:
    """An RSA pair that signs itself; trustme has 2048 bits only."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name, now = x509.Name([]), datetime.now(UTC)
    certificate = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(30)
    ).sign(key, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), in_pem(key))


async def stored(api: Api) -> Any:
    return await api.context.accounts.setting(1, "external_certificate")


@pytest.mark.parametrize(
    "text",
    [
        LEAF.pem + MIDDLE + ROOT + LEAF.key,
        LEAF.key + ROOT + MIDDLE + LEAF.pem,
        f"Bag Attributes\n  x: y\n{LEAF.key}\nsubject=...\n{MIDDLE}{LEAF.pem}{ROOT}",
    ],
    ids=["as usual", "in any order", "with words between"],
)
async def test_a_chain_and_its_key(api: Api, text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (await post(api, EXTERNAL, text)).done()
    assert await stored(api) == {"chain": LEAF.pem + MIDDLE + ROOT, "key": LEAF.key}
    assert LEAF.key.splitlines()[1] not in caplog.text
    answer = await api.call("DELETE", EXTERNAL, token=api.admin)
    assert (answer.status, await stored(api)) == (200, {})


async def test_one_that_signed_itself_and_an_rsa_key(api: Api) -> None:
    for pair in (OTHER, RSA):
        assert (await post(api, EXTERNAL, pair.pem + pair.key)).status == 200
        assert (await stored(api))["chain"] == pair.pem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "one private key, not 0"),
        ("hello", "one private key, not 0"),
        (LEAF.pem, "one private key, not 0"),
        (LEAF.key, "no certificate"),
        (LEAF.pem + LEAF.key + OTHER.key, "one private key, not 2"),
        (LEAF.pem + OTHER.key, "belongs to none"),
        (LEAF.pem + OTHER.pem + LEAF.key, "does not belong to the chain"),
        (LEAF.pem + in_pem(key_of(LEAF.key), b"pass"), "encrypted"),
        (LEAF.pem.replace("M", "N", 9) + LEAF.key, "damaged"),
        (LEAF.pem + LEAF.key.replace("M", "N", 9), "damaged or of an unknown kind"),
        (LEAF.pem[:200] + LEAF.key, "no certificate"),
        ((old := issued(_ROOT, begins=-3, ends=-1)).pem + old.key, "expired"),
        ((new := issued(_ROOT, begins=2)).pem + new.key, "not valid before"),
        ((weak := of_bits(1024)).pem + weak.key, "OpenSSL rejects it"),
        (RSA.pem + in_pem(forged(key_of(RSA.key))), "damaged"),
        (LEAF.pem + LEAF.key + "".join(alone().pem for _ in range(10)), "more than 10"),
        ("é", "ASCII"),
        (b"\xff\x00", "ASCII"),
    ],
)
async def test_certificates_that_no_server_can_use_are_refused(
    api: Api, text: str | bytes, words: str
) -> None:
    assert (await post(api, EXTERNAL, OTHER.pem + OTHER.key)).status == 200
    (await post(api, EXTERNAL, text)).refused(400, 1009, words)
    assert await stored(api) == {"chain": OTHER.pem, "key": OTHER.key}


def test_a_large_key_takes_no_time() -> None:
    """A thread does not help while OpenSSL holds the interpreter: nobody is served meanwhile."""
    pair = of_bits(4096)
    began = time.thread_time()
    checked_pair(pair.pem + pair.key, datetime.now(UTC))
    assert time.thread_time() - began < 0.05


async def test_too_large(api: Api) -> None:
    assert (await post(api, EXTERNAL, "x" * (64 * 1024 + 1))).status == 413
    assert (await post(api, WEBHOOKS, "x" * (512 * 1024 + 1))).status == 413


async def test_the_signing_ca_of_the_served_certificate(api: Api) -> None:
    for chain, signers in (
        (LEAF.pem + MIDDLE + ROOT, MIDDLE + ROOT),
        (OTHER.pem, OTHER.pem),
    ):
        api.recorder.served_chain = chain
        answer = await api.call("GET", f"{EXTERNAL}/ca", token=api.admin)
        assert (answer.status, answer.body.decode()) == (200, signers)
        assert answer.headers["Content-Type"].startswith("text/plain")
    for chain in (LEAF.pem, ""):
        api.recorder.served_chain = chain
        (await api.call("GET", f"{EXTERNAL}/ca", token=api.admin)).refused(404, 1006)


async def test_authorities_for_webhooks(api: Api) -> None:
    for method in ("GET", "DELETE"):
        (await api.call(method, WEBHOOKS, token=api.admin)).refused(404, 1006)
    (await post(api, WEBHOOKS, f"# ours\n{ROOT}\n{OTHER.pem}{ROOT}")).done()
    answer = await api.call("GET", WEBHOOKS, token=api.admin)
    assert (answer.status, answer.body.decode()) == (200, ROOT + OTHER.pem)
    assert answer.headers["Content-Type"].startswith("text/plain")
    for text, words in (
        ("", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "damaged"),
        (ROOT + _ROOT.private_key_pem.bytes().decode(), "no keys"),
        (b"\xff", "ASCII"),
    ):
        (await post(api, WEBHOOKS, text)).refused(400, 1009, words)
    assert (await api.call("GET", WEBHOOKS, token=api.admin)).body.decode() == ROOT + OTHER.pem
    assert (await api.call("DELETE", WEBHOOKS, token=api.admin)).status == 200
    assert (await api.call("GET", WEBHOOKS, token=api.admin)).status == 404
