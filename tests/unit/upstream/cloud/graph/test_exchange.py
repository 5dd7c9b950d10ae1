"""The bytes of a request: one client serves all numbers, each with its own id and token."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from tests.harness.cloud_number import some_number
from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.graph import exchange
from warouter.upstream.cloud.graph.exchange import GraphExchange
from warouter.upstream.cloud.secrets import Secrets
from warouter.variables import SecretSource

ONE = some_number(phone_number_id="1065", token=SecretSource("EAAone"))
TWO = some_number(id=2, phone_number_id="1066", token=SecretSource("EAAtwo"))
CLOUD = CloudSettings(base_url="https://graph.example/way")


def test_the_bytes_of_a_request() -> None:
    graph = GraphExchange(CLOUD, Secrets(ONE), 65536)
    assert graph.request(ONE, b'{"to":"+49"}', "marketing_messages") == (
        b"POST /way/v25.0/1065/marketing_messages HTTP/1.1\r\n"
        b"Host: graph.example\r\n"
        + f"User-Agent: {exchange.SERVER}\r\n".encode()
        + b"Accept: application/json\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer EAAone\r\nContent-Length: 12\r\n\r\n"
        b'{"to":"+49"}'
    )


def test_a_messaging_account_stands_in_the_body() -> None:
    of = replace(ONE, messaging_account_id="77")
    found = GraphExchange(CLOUD, Secrets(of), 65536).request(of, b'{"to":"+49"}')
    assert found.endswith(b'Content-Length: 40\r\n\r\n{"messaging_account_id":"77","to":"+49"}')


def test_one_client_serves_several_numbers() -> None:
    graph = GraphExchange(CLOUD, Secrets(ONE), 65536)
    for _ in range(2):
        for of, id, token in ((ONE, b"/1065/", b"EAAone"), (TWO, b"/1066/", b"EAAtwo")):
            found = graph.request(of, b"{}")
            assert (id in found, token in found) == (True, True)
    other = replace(TWO, phone_number_id="1067", token=SecretSource("EAAnew"))
    found = graph.request(other, b"{}")
    assert (b"/1067/" in found, b"EAAnew" in found) == (True, True)


def test_a_renewed_token_is_used_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("EAAold")
    of = replace(ONE, token=SecretSource(path=str(file)))
    secrets = Secrets(of)
    graph = GraphExchange(CLOUD, secrets, 65536)
    assert b"Bearer EAAold\r\n" in graph.request(of, b"{}")
    file.write_text("EAAnew")
    assert secrets.refresh(of, anyway=True)
    assert b"Bearer EAAnew\r\n" in graph.request(of, b"{}")
