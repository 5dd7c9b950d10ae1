"""What a page loads, what its templates may hold, and what the macros make."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from tests.unit.console.conftest import renders
from warouter.console.app import ActOutcome, Chrome, Link
from warouter.console.render import Renderer
from warouter.console.visit import Visitor

pytestmark = renders

CONSOLE = Path(str(files("warouter"))) / "console" / "templates"
STATIC = Path(str(files("warouter"))) / "static" / "console"
KILO = 1000
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\"'"
ADMIN = Visitor("admin", True, b"", "127.0.0.1")


def chrome(stream: str = "/console/stream?page=cluster", **changed: Any) -> Chrome:
    pages = [Link("Cluster", "/console/", "c", True), Link("Media", "/console/media", "", False)]
    given = Chrome("Cluster", pages, stream, ADMIN, None, "1.0", "/console/")
    return given._replace(**changed)


@pytest.fixture(scope="module")
def ui(renderer: Renderer) -> Any:
    """The macros as a page has them."""
    return renderer._environment.globals["ui"]


class Read(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def frame(renderer: Renderer, given: Chrome) -> str:
    return renderer.page("error.html", {"chrome": given, "status": 404, "error": HOSTILE})


def packed(name: str) -> int:
    return len(gzip.compress((STATIC / name).read_bytes()))


def test_the_first_page_fits_the_budget(renderer: Renderer) -> None:
    text = frame(renderer, chrome())
    page = Read(text)
    loaded = {e["src"] for e in [*page.all("script"), *page.all("img")]}
    loaded |= {e["href"] for e in page.all("link")}
    names = {re.sub(r"\.[0-9a-f]{12}\.", ".", path.rpartition("/")[2]) for path in loaded}
    assert names == {"console.css", "console.js", "htmx.min.js", "hx-sse.min.js", "mark.svg"}
    assert len(gzip.compress(text.encode())) + sum(map(packed, names)) < 60 * KILO
    assert packed("console.css") < 8 * KILO
    assert packed("console.js") < 4 * KILO


def test_a_page_that_does_not_change_loads_no_htmx(renderer: Renderer) -> None:
    text = frame(renderer, chrome(stream="", visitor=None, pages=[]))
    assert [path for e in Read(text).all("script") if "console." not in (path := e["src"])] == []


@pytest.mark.parametrize("path", sorted(CONSOLE.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_holds_what_the_policy_refuses(path: Path) -> None:
    text = re.sub(r"{#.*?#}", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"""<style|\sstyle=|\son[a-z]+\s*=|hx-on|javascript:|\|\s*safe""", text)
    assert not re.search(r"<script(?![^>]*(src=|type=\"application/json\"))", text)
    assert not re.search(r"https?://(?!localhost)", text)


def test_the_frame_escapes_what_it_is_given(renderer: Renderer) -> None:
    given = chrome(
        visitor=Visitor(HOSTILE, False, b"", HOSTILE),
        said=ActOutcome("replay", HOSTILE, HOSTILE, "/console/access?audit=1"),
    )
    text = frame(renderer, given)
    page = Read(text)
    assert "onerror=alert(1)>" not in text
    assert len(page.all("img")) == 1  # the mark
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert "state-bad" in text
    assert "reads only" in text


def test_the_page_of_an_act_says_how_it_ended(renderer: Renderer) -> None:
    said = ActOutcome("replay callbacks", "214 letters", "done", "/console/access?audit=7")
    text = frame(renderer, chrome(said=said))
    assert "<b>replay callbacks</b>: 214 letters: done" in text
    assert "state-good" in text
    assert {"href": said.link} in Read(text).all("a")


def test_the_list_of_keys_has_each_page_that_has_one(renderer: Renderer) -> None:
    listed = frame(renderer, chrome()).partition('<dl class="keys">')[2]
    assert "<kbd>g</kbd> <kbd>c</kbd></dt><dd>Cluster" in listed
    assert "Media" not in listed


def test_a_time_is_absolute_until_the_script_comes(ui: Any) -> None:
    at = datetime(2026, 11, 25, 12, 3, 11, tzinfo=UTC)
    assert str(ui.time(at)) == str(ui.time("2026-11-25T12:03:11Z"))
    (time,) = Read(ui.time(at)).all("time")
    assert time == {"datetime": "2026-11-25T12:03:11.000Z", "title": "2026-11-25 12:03:11 UTC"}
    assert "never" in ui.time(None)
    assert "data-absolute" in ui.time(at, absolute=True)


def test_a_dialog_opens_without_script_and_asks_for_the_word(ui: Any) -> None:
    made = ui.confirm(
        "drop", "End 3 sessions", "End them?", "/console/end", {"id": ["a", "b"], "n": 3}, "a.b",
        caller=lambda: Markup("<p>3</p>"),
    )  # fmt: skip
    page = Read(made)
    opener, cancel, act = page.all("button")
    assert (opener["command"], opener["commandfor"]) == ("show-modal", "drop")
    assert (cancel["command"], cancel["type"]) == ("close", "button")
    assert "type" not in act
    assert [form["action"] for form in page.all("form")] == ["/console/end"]
    fields = [(e["name"], e.get("value", "")) for e in page.all("input")]
    assert fields == [("id", "a"), ("id", "b"), ("n", "3"), ("typed", "")]
    assert page.all("input")[-1]["pattern"] == r"a\.b"
    ids = [e["id"] for _, e in page.found if "id" in e]
    assert len(ids) == len(set(ids))


@given(st.text(min_size=1))
def test_a_word_is_the_only_one_that_its_pattern_matches(ui: Any, word: str) -> None:
    pattern = Markup(ui.only(word)).unescape()
    assert re.fullmatch(pattern, word)
    assert not re.fullmatch(pattern, word + "x")


@given(st.lists(st.none() | st.floats(-1e6, 1e6)))
def test_a_sparkline_stays_within_its_box(ui: Any, values: list[float | None]) -> None:
    made = ui.sparkline(values, HOSTILE)
    (drawn,) = Read(made).all("path")
    points = re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn["d"])
    assert len(points) == sum(value is not None for value in values)
    assert all(0 <= float(x) <= 100 and 2 <= float(y) <= 22 for x, y in points)
    assert Read(made).all("img") == []


@pytest.mark.parametrize("name", ["copy", "command", "masked", "empty", "state"])
def test_the_macros_escape(ui: Any, name: str) -> None:
    made = getattr(ui, name)(HOSTILE)
    assert "<img" not in made
    assert name == "masked" or str(escape(HOSTILE)) in made
