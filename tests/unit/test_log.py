"""Log lines: one an event whatever is in it, no numbers, no bodies, no end of length (S20)."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from warouter.log import (
    ERROR_CHARS,
    FIELD_CHARS,
    JsonLines,
    Outage,
    shown,
    use_key,
    without_numbers,
)

NASTY = "a\r\nb\x1b[31mred\x1b[0m\u2028c\u2029d\x00e\x85f\x0bg\ud800h"


def line_of(**fields: object) -> str:
    record = logging.makeLogRecord({"msg": "event", "levelname": "INFO", **fields})
    return JsonLines().format(record)


def test_keys_lists_and_tracebacks_are_escaped_as_well() -> None:
    try:
        raise RuntimeError(NASTY)
    except RuntimeError as error:
        info = (type(error), error, error.__traceback__)
    line = line_of(slots={NASTY: [NASTY, {NASTY}]}, exc_info=info, other=RuntimeError(NASTY))
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("4915112345678", "49...78"),
        ("+4915112345678 is unknown", "+49...78 is unknown"),
        ("recipient '4915112345678', slot 7", "recipient '49...78', slot 7"),
        ("1234567", "1234567"),
        # no numbers: a node, an address, a version, a time, an id
        ("host:coreapp-12345678", "host:coreapp-12345678"),
        ("10.0.0.12:6250", "10.0.0.12:6250"),
        ("2026-11-24T22:00:00.123", "2026-11-24T22:00:00.123"),
        ("d3b07384d113edec49eaa6238ad5ff00", "d3b07384d113edec49eaa6238ad5ff00"),
    ],
)
def test_of_a_number_only_the_ends_are_shown(text: str, logged: str) -> None:
    assert shown(text) == logged
    assert shown({"reason": [text]}) == {"reason": [logged]}


def test_bytes_are_counted_only() -> None:
    assert shown(b'{"text":{"body":"secret"}}') == "26 bytes"
    assert "secret" not in line_of(payload=b"secret", view=memoryview(b"secret"))


def test_length_is_bounded() -> None:
    assert len(shown("x" * 10_000)) == FIELD_CHARS + 3
    assert shown("x" * FIELD_CHARS) == "x" * FIELD_CHARS
    assert len(shown("x" * 100_000, ERROR_CHARS)) == ERROR_CHARS + 3


def test_an_id_that_holds_a_number_is_letters_that_stand_for_it() -> None:
    wamid = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNEQTA2RjdGMEY4RTRGAA=="
    text = f"{wamid} and w1.revealed.999123456789012.15550001111, of {wamid}"
    line = line_of(id=wamid, why=text, rows=[wamid], error={"key": f"{wamid}:read:5"})
    assert "wamid." not in line
    assert "15550001111" not in line
    found = json.loads(line)
    assert found["id"] == found["rows"][0] == without_numbers(wamid)
    assert found["error"]["key"] == f"{found['id']}:read:5"
    assert found["why"].count(found["id"]) == 2
    use_key(b"another")
    assert json.loads(line_of(id=wamid))["id"] != found["id"]
    assert without_numbers("AQcAAQIDBAUGBwgJCgsMDQ4PEBES") == "AQcAAQIDBAUGBwgJCgsMDQ4PEBES"


def test_numbers_and_flags_stay_what_they_are() -> None:
    line = json.loads(line_of(term=4_294_967_303, led=True, age=1.5, slots={3: 4_294_967_300}))
    assert (line["term"], line["led"], line["age"]) == (4_294_967_303, True, 1.5)
    assert line["slots"] == {"3": 4_294_967_300}


def test_an_outage_is_news_when_it_begins_and_when_it_ends() -> None:
    outage = Outage()
    assert not outage.ends()
    assert not outage.lasts
    assert [outage.begins() for _ in range(3)] == [True, False, False]
    assert outage.lasts
    assert [outage.ends() for _ in range(2)] == [True, False]
    assert not outage.lasts
    assert outage.begins()


def test_a_log_that_cannot_be_written_ends_no_process() -> None:
    """Its disk may be full: /dev/full answers each write with ENOSPC."""
    code = (
        "import logging; from warouter import log; log.setup('INFO')\n"
        "for _ in range(1000): logging.getLogger('x').warning('event', extra={'a': 'b' * 100})\n"
        "print('on')"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, text=True
        )
    assert (done.returncode, done.stdout) == (0, "on\n")
