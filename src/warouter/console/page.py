"""Pages and acts of the console: each module of ``pages`` lists its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.visit import Done, Download, ReadingKey, Visitor

# The values of the page's template. Raises ConsoleRefusal, and what the store raises.
Read = Callable[[ConsoleContext, ReadingKey], Awaitable[dict[str, Any]]]
Fetch = Callable[[ConsoleContext, ReadingKey], Awaitable[Download]]
Do = Callable[[ConsoleContext, Visitor, Form], Awaitable[Done]]


def always(_context: ConsoleContext) -> bool:
    return True


class Page(NamedTuple):
    """A page: its template is ``pages/NAME.html``, whose block ``live`` is streamed if ``live``.

    ``key`` is the letter that leads there after g; ``listed`` pages are in the navigation.
    ``shown`` says whether this console has the page at all.
    """

    path: str
    name: str
    title: str
    read: Read
    key: str = ""
    listed: bool = True
    live: bool = True
    shown: Callable[[ConsoleContext], bool] = always


class Act(NamedTuple):
    """A form's POST, for administrators. ``action`` is its name in the audit log; ``back`` the page
    that says how it ended.
    """

    path: str
    action: str
    act: Do
    back: str


class Export(NamedTuple):
    """A GET that answers with a file, for all who may read."""

    path: str
    fetch: Fetch
