"""One call of parse_message, the part of a send that every webapp pays for each message."""

from __future__ import annotations

import msgspec
from pytest_benchmark.fixture import BenchmarkFixture

from warouter.api.messages.validate import parse_message

TEXT = msgspec.json.encode(
    {"to": "250788123123", "type": "text", "preview_url": True, "text": {"body": "Hello " * 20}}
)
TEMPLATE = msgspec.json.encode(
    {
        "to": "+250 788 123 123",
        "type": "template",
        "template": {
            "namespace": "9f1b2c3d_0000",
            "name": "order_shipped",
            "language": {"policy": "deterministic", "code": "en_US"},
            "components": [
                {
                    "type": "header",
                    "parameters": [
                        {"type": "image", "image": {"link": "https://example.com/a.jpg"}}
                    ],
                },
                {
                    "type": "body",
                    "parameters": [{"type": "text", "text": f"value {n}"} for n in range(4)],
                },
                {
                    "type": "button",
                    "sub_type": "url",
                    "index": "0",
                    "parameters": [{"type": "text", "text": "x"}],
                },
            ],
        },
    }
)


def test_text(benchmark: BenchmarkFixture) -> None:
    assert benchmark(parse_message, TEXT).recipient == "250788123123"


def test_template(benchmark: BenchmarkFixture) -> None:
    assert benchmark(parse_message, TEMPLATE).type == "template"
