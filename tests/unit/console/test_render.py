"""Figures and texts as a page shows them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from tests.unit.console.conftest import renders
from warouter.console import render
from warouter.console.form import Form
from warouter.console.render import THIN, Renderer
from warouter.console.static import Files
from warouter.console.visit import ConsoleRefusal

HOSTILE = ["<img src=x onerror=alert(1)>", "\u202eabc", "x" * 10_000, "'\"><script>", "{{ 7 * 7 }}"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "40 ms"),
        (0.9994, "999 ms"),
        (3.21, "3.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (125, "2 min 5 s"),
        (3_600, "1 h"),
        (7_384, "2 h 3 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert render.duration(seconds).replace(THIN, " ") == said


@given(st.floats(0, 1e9))
def test_no_duration_is_said_in_sixty_of_a_unit(seconds: float) -> None:
    said = render.duration(seconds).replace(THIN, " ")
    assert not said.startswith(("60.0 s", "60 ", "1000 ms"))
    assert " 60 " not in f" {said} "


@given(st.integers(0, 2**60))
def test_bytes_have_four_digits_at_most_before_the_point(count: int) -> None:
    assert len(render.size(count).split(THIN)[0].split(".")[0]) <= 7


@given(st.text("0123456789", min_size=1, max_size=15))
def test_a_masked_number_does_not_tell_the_number(number: str) -> None:
    shown = render.mask(number)
    assert sum(each.isdigit() for each in shown) <= 5
    assert len(number) < 3 or number not in shown


def test_without_the_extra_it_says_how_to_install_it() -> None:
    program = (
        "import sys; sys.modules['jinja2'] = sys.modules['markupsafe'] = None\n"
        "import asyncio\n"
        "from warouter.errors import CommandError\n"
        "from warouter.node import console\n"
        "try: asyncio.run(console.main(None, None, None))\n"
        "except CommandError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("run `pip install 'warouter[console]'`.\n"), done.stderr


def test_times_are_utc() -> None:
    moment = datetime(2026, 11, 29, 12, 3, 11, 250_000, tzinfo=UTC)
    assert render.utc(moment) == render.utc("2026-11-29T13:03:11.25+01:00") == "2026-11-29 12:03:11"
    assert render.iso("2026-11-29 12:03:11Z") == "2026-11-29T12:03:11.000Z"


@renders
@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_page_is_told_is_escaped(renderer: Renderer, text: str) -> None:
    shown = renderer._environment.from_string("<b>{{ text }}</b>").render(text=text)
    inner = shown.removeprefix("<b>").removesuffix("</b>")
    assert "<" not in inner
    assert '"' not in inner
    assert "49" not in inner


@renders
def test_every_template_compiles(renderer: Renderer) -> None:
    names = renderer._environment.list_templates()
    assert len(names) > 10
    for name in names:
        renderer._environment.get_template(name)


@renders
def test_an_undefined_name_in_a_template_is_an_error(renderer: Renderer) -> None:
    with pytest.raises(UndefinedError):
        renderer._environment.from_string("{{ missing }}").render()


def test_files_have_names_that_change_with_them_and_are_served_for_good() -> None:
    files = Files()
    assert files.url("console.css").startswith("/console/static/console.")
    with pytest.raises(KeyError):
        files.url("missing.css")


def test_a_field_that_is_missing_too_long_or_no_number_is_refused_by_name() -> None:
    form = Form({"name": ["  anna "], "long": ["x" * 2_000], "count": ["12"], "odd": ["٣"]})
    assert form.text("name") == "anna"
    assert form.text("missing", required=False) == ""
    assert form.number("count", 1, 32) == 12
    for wrong in (
        lambda: form.text("missing"),
        lambda: form.text("long"),
        lambda: form.number("count", 1, 8),
        lambda: form.number("name", 1, 8),
        lambda: form.number("odd", 1, 8),
    ):
        with pytest.raises(ConsoleRefusal):
            wrong()


def test_no_more_is_chosen_at_once_than_is_allowed() -> None:
    form = Form({"id": [str(n) for n in range(1_001)]})
    with pytest.raises(ConsoleRefusal):
        form.all("id")
