"""Where a provider's credentials may go, and what is made of providers that nobody checked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.media.providers import (
    Credentials,
    CredentialsRefused,
    checked_origin,
    credentials,
    origin_of,
)

BEARER = {"name": "b", "type": "www", "config": {"bearer": "t"}, "origins": ["https://a.test"]}
BASIC = {"name": "u", "type": "www", "config": {"basic": {"username": "n", "password": "p"}}}


def test_credentials_of_providers() -> None:
    found = credentials([BEARER, BASIC], "b")
    assert found == ("b", {"Authorization": "Bearer t"}, frozenset({"https://a.test"}))
    found.check("https://a.test/x?y#z")
    before = credentials([BEARER, BASIC], "u")  # stored by a build that knew no origins
    assert before.headers == {"Authorization": "Basic bjpw"}
    with pytest.raises(CredentialsRefused, match="provider u has no origins"):
        before.check("https://a.test/")
    with pytest.raises(CredentialsRefused, match="no media provider x"):
        credentials([BEARER, BASIC], "x")


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://a.test", "https://a.test"),
        ("https://A.Test:443/", "https://a.test"),
        ("https://a.test/?", "https://a.test"),
        ("https://a.test:8443", "https://a.test:8443"),
        ("HTTPS://tráp.test", "https://xn--trp-fla.test"),
        ("https://[2606:4700::1111]:8443/", "https://[2606:4700::1111]:8443"),
    ],
)
def test_an_origin_has_one_spelling(given: str, origin: str) -> None:
    assert checked_origin(given) == origin == checked_origin(origin)
    Credentials("p", {}, frozenset({origin})).check(f"{origin}/path?query#fragment")


@pytest.mark.parametrize(
    "text",
    [
        *("", "a.test", "//a.test", "http://a.test", "ftp://a.test", "https://", "https:///x", "*"),
        *("https://a.test/path", "https://a.test?q=1", "https://a.test#f"),
        *("https://u@a.test", "https://u:p@a.test", "https://a.test:x", "https://a.test:99999"),
        *("https://a.test\\@b.test", "https://a.test\n", " https://a.test", "https://a b.test"),
    ],
)
def test_bad_origins_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        checked_origin(text)


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.test/", "https://b.test/", "https://a.test:8443/", "https://a.test./", "x", ""),
        *("https://a.test@b.test/", "https://a.test:443@b.test/", "https://sub.a.test/"),
        *("https://a.test.b.test/", "https://b.test/https://a.test", "https://b.test#@a.test"),
    ],
)
def test_elsewhere_never(url: str) -> None:
    with pytest.raises(CredentialsRefused, match="not one of the origins"):
        credentials([BEARER], "b").check(url)


def test_over_http_never_even_if_somebody_wrote_that_into_the_database() -> None:
    found = credentials([BEARER | {"origins": ["http://a.test", 5, None, "https://a.test/x"]}], "b")
    assert found.origins == frozenset()


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(
    st.lists(
        JSON
        | st.fixed_dictionaries(
            {"name": st.just("p")},
            optional={
                "config": JSON
                | st.fixed_dictionaries({"bearer": JSON})
                | st.fixed_dictionaries(
                    {"basic": st.fixed_dictionaries({"username": JSON, "password": JSON})}
                ),
                "origins": JSON | st.lists(st.sampled_from(["https://a.test", "http://a.test"])),
            },
        )
    )
)
def test_whatever_is_stored_gives_a_header_or_a_refusal(providers: list[Any]) -> None:
    try:
        found = credentials(providers, "p")
    except CredentialsRefused:
        return
    (value,) = found.headers.values()
    assert value.isascii()
    assert value.isprintable()
    assert all(origin_of(origin) == origin for origin in found.origins)
    assert all(origin.startswith("https://") for origin in found.origins)
