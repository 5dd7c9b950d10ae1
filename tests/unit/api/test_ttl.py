"""``ttl`` of a message: seconds, or a duration of ISO 8601."""

from __future__ import annotations

import pytest

from warouter.api.messages.ttl import MOST_SECONDS, ttl_of
from warouter.api.messages.validate import parse_message
from warouter.errors import ParameterInvalid


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        (None, None),
        (3600, 3600),
        ("3600", 3600),
        ("P4D", 4 * 86_400),
        ("PT1H30M", 5400),
        ("P1DT12H5S", 36 * 3600 + 5),
        ("PT90S", 90),
        ("P30D", MOST_SECONDS),
    ],
)
def test_ttls_as_clients_write_them(wish: int | str | None, seconds: int | None) -> None:
    assert ttl_of(wish) == seconds


@pytest.mark.parametrize(
    "wish",
    [
        *("", "0", 0, -1, "-1", MOST_SECONDS + 1, "9" * 400, "1e3", "1 hour", " 60", "\u0663"),
        *("P", "PT", "P1DT", "P0D", "P31D", "P1W", "P1M", "PT1.5S", "p1d", "P4D\n"),
        "P" + "9" * 400 + "D",
    ],
)
def test_anything_else_is_refused(wish: int | str) -> None:
    with pytest.raises(ParameterInvalid, match="ttl"):
        ttl_of(wish)


@pytest.mark.parametrize("wish", ["true", "1.5", "[]", "{}", '"x"', "1e400"])
def test_in_a_body_it_is_the_parameter_that_is_named(wish: str) -> None:
    with pytest.raises(ParameterInvalid, match="ttl"):
        parse_message(b'{"to":"250788123123","text":{"body":"x"},"ttl":%s}' % wish.encode())
