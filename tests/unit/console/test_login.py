"""Where a log-in leads to."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.console.login import HOME, place

_PIECES = [
    "/console/",
    "/",
    "//",
    "\\",
    "..",
    "%2e%2e",
    "%2F",
    "%5c",
    "@",
    ":",
    "?",
    "#",
    "a",
    "\r\n",
]


@pytest.mark.parametrize(
    "wanted", ["/console/", "/console/messages?state=failed&to=49151", "/console/messages/gBEG-1_x"]
)
def test_a_page_of_the_console_is_gone_back_to(wanted: str) -> None:
    assert place(wanted) == wanted


@given(st.text() | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_whatever_is_asked_for_a_browser_stays_in_the_console(wanted: str) -> None:
    found = place(wanted)
    there = urlsplit(urljoin("https://console.example/console/login", found))
    assert (there.scheme, there.netloc) == ("https", "console.example")
    assert there.path.startswith(HOME)
    assert found.isprintable()
