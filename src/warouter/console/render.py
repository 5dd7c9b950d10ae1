"""Templates to text: escaped everywhere, and complete, as what is undefined is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from warouter.console.verdict.judge import about
from warouter.errors import CommandError

THIN = "\N{NARROW NO-BREAK SPACE}"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Renderer:
    """The templates of the console, each compiled when it is first shown: all of them would be half
    of a console's start. ``static`` is ``Files.url``.
    """

    def __init__(self, static: Callable[[str], str]) -> None:
        self._static = static

    @cached_property
    def _environment(self) -> Any:
        import jinja2  # loaded with the first page, too

        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("warouter.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            about=about, duration=duration, bytes=size, mask=mask, thin=thin, utc=utc, iso=iso
        )
        environment.globals["static"] = self._static
        # A block that is rendered by itself does not see what its template imports.
        environment.globals["ui"] = environment.get_template("macros.html").module
        return environment

    def page(self, template: str, values: Mapping[str, Any]) -> str:
        """A whole page."""
        text: str = self._environment.get_template(template).render(values)
        return text

    def live(self, template: str, values: Mapping[str, Any]) -> str:
        """The block ``live`` of a page alone."""
        found = self._environment.get_template(template)
        return "".join(found.blocks["live"](found.new_context(dict(values))))


def require_library() -> None:
    """CommandError if the library that fills the templates, an extra, is not installed."""
    if find_spec("jinja2") is None:
        raise CommandError(
            "The console needs jinja2, which is not installed: run"
            " `pip install 'warouter[console]'`."
        )


def as_html(text: str) -> Any:
    """A text of this package for a template that shall not escape it."""
    from markupsafe import Markup  # jinja2's

    return Markup(text)


def thin(number: float) -> str:
    """A number with thin spaces between its thousands: ``12 345``."""
    return f"{number:,}".replace(",", THIN)


def duration(seconds: float | None) -> str:
    """Seconds as people say them: ``40 ms``, ``3.2 s``, ``4 min 5 s``, ``2 h 3 min``."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}{THIN}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}{THIN}s"
    whole = round(seconds)
    for unit, lesser, size_s, part in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60)):
        if whole >= size_s:
            return _two(whole // size_s, unit, whole % size_s // part, lesser)
    return _two(whole // 60, "min", whole % 60, "s")


def size(count: float) -> str:
    """Bytes in the greatest unit that keeps a digit before the point."""
    power = 0
    while count >= 1024 and power < len(_UNITS) - 1:
        count /= 1024
        power += 1
    digits = 1 if power else 0
    return f"{count:.{digits}f}{THIN}{_UNITS[power]}"


def mask(number: str | None) -> str:
    """A phone number as in the logs: its first and last digits."""
    if not number:
        return ""
    if len(number) < 8:
        return "\N{HORIZONTAL ELLIPSIS}" + number[-2:]
    return f"{number[:3]}\N{HORIZONTAL ELLIPSIS}{number[-2:]}"


def utc(at: str | datetime) -> str:
    """A time as people read it, in UTC: ``2026-11-29 12:03:11``."""
    return _moment(at).strftime("%Y-%m-%d %H:%M:%S")


def iso(at: str | datetime) -> str:
    """A time as a browser reads it."""
    return _moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(at: str | datetime) -> datetime:
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _two(many: int, unit: str, few: int, lesser: str) -> str:
    said = f"{many}{THIN}{unit}"
    return f"{said} {few}{THIN}{lesser}" if few else said
