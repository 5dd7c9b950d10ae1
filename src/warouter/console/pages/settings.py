"""Settings: variables of the processes, where they differ, and what the API changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from warouter.cloud_number import FIRST
from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Act, Page
from warouter.console.visit import ConsoleRefusal, Done, Download, ReadingKey, Visitor
from warouter.store.views.setup.application import Field, read_application
from warouter.store.views.setup.difference import (
    SettingChange,
    differences,
    fields_to_change,
    patch_of,
    text_of,
)
from warouter.store.views.setup.environment import (
    CONSOLE,
    EnvironmentStatus,
    ProcessEnvironment,
    VariableValues,
    compared,
    read_environment,
)
from warouter.variables import CONSOLE as GROUP
from warouter.variables import GROUPS

PATH = "/console/settings"
CHANGE = f"{PATH}/change"
API = "/v1/settings/application"
ONLY = ("set", "differing")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
MOST_VALUE = 2_100  # characters: a webhook's URL may have 2048


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    async with context.reading() as connection:
        environment = await read_environment(connection)
        application = await read_application(connection, FIRST)
    environment = compared([*environment.processes, own(context)])
    query = {name: asked.query.get(name, "") for name in ("q", "group", "only")}
    return {
        **query,
        "groups": [group.title for group in GROUPS],
        "readers": {group.title: plain(group.readers) for group in GROUPS},
        "onlys": ONLY,
        "processes": environment.processes,
        "differing": environment.differing,
        "variables": grouped(environment, **query),
        "fields": [f for f in application.fields if query["q"].casefold() in f.name.casefold()],
        "others": application.others,
        "api": context.api.url,
    }


def plain(markdown: str) -> str:
    """A sentence without the marks of code and the targets of links."""
    return _LINK.sub(r"\1", markdown).replace("`", "")


def own(context: ConsoleContext) -> ProcessEnvironment:
    """The variables of this console's own group that are not at their default."""
    names = {variable.name for variable in GROUP.variables}
    given = {
        field.encode_name: _given(getattr(context.settings, field.name))
        for field in msgspec.structs.fields(context.settings)
        if field.encode_name in names and getattr(context.settings, field.name) != field.default
    }
    return ProcessEnvironment("this console", CONSOLE, given)


def grouped(
    environment: EnvironmentStatus, q: str, group: str, only: str
) -> list[tuple[str, list[VariableValues]]]:
    """The variables that the filters leave, by group in their order; empty groups are left out."""
    found: dict[str, list[VariableValues]] = {}
    for each in environment.variables:
        fits = q.casefold() in each.name.casefold() and group in ("", each.group)
        chosen = {
            "differing": each.differs,
            "set": any(value.source == "environment" for value in each.values),
        }
        if fits and chosen.get(only, True):
            said = msgspec.structs.replace(each, meaning=plain(each.meaning))
            found.setdefault(each.group, []).append(said)
    return list(found.items())


async def read_change(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    """The form with what is set now, and with its fields in the URL the difference."""
    if not asked.admin:
        raise ConsoleRefusal("Only an administrator may change settings.", 403)
    fields = await _application(context)
    preview = bool(asked.query.get("preview"))
    found: list[SettingChange] = []
    problem = ""
    try:
        found = differences(fields, asked.query) if preview else []
    except ValueError as error:
        problem = str(error)
    typed = {each.name: asked.query.get(each.name, text_of(each.value)) for each in fields}
    return {
        "fields": fields_to_change(fields),
        "typed": typed,
        "preview": preview and not problem,
        "problem": problem,
        "differences": found,
        "curl": _curl(context.api.url, found),
    }


async def change(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """Send to the API what was previewed, unless it is another difference by now."""
    wished = {name: form.text(name, MOST_VALUE, required=False) for name in form.names()}
    fields = await _application(context)
    try:
        found = differences(fields, wished)
    except ValueError as error:
        raise ConsoleRefusal(str(error)) from error
    form.subject = ", ".join(each.name for each in found)
    if not found:
        raise ConsoleRefusal(
            "Nothing differs from what is set: somebody else may have changed it.", 409
        )
    for each in found:
        if wished.get(f"was.{each.name}", each.old) != each.old:
            raise ConsoleRefusal(f"{each.name} has been changed meanwhile. Look again.", 409)
    await context.api.call(visitor, "PATCH", API, patch_of(found))
    return Done(form.subject)


async def bundle(context: ConsoleContext, visitor: Visitor, _form: Form) -> Done:
    """The answer of GET /v1/support, as a file."""
    found = await context.api.call(visitor, "GET", "/v1/support")
    at = datetime.now(UTC)
    body = msgspec.json.format(msgspec.json.encode(found), indent=2)
    name = f"warouter-support-{at:%Y%m%dT%H%M%SZ}.json"
    return Done(name, file=Download(body, name))


async def _application(context: ConsoleContext) -> list[Field]:
    async with context.reading() as connection:
        return (await read_application(connection, FIRST)).fields


def _given(value: Any) -> str:
    return ("1" if value else "0") if isinstance(value, bool) else str(value)


def _curl(url: str, found: list[SettingChange]) -> str:
    body = msgspec.json.encode(patch_of(found)).decode().replace("'", "'\\''")
    return f"curl -X PATCH -H \"Authorization: Bearer $TOKEN\" -d '{body}' {url}{API}"


PAGES = (
    Page(PATH, "settings", "Settings", read, key="s"),
    Page(CHANGE, "settings_change", "Change settings", read_change, listed=False, live=False),
)
ACTS = (
    Act(CHANGE, "change settings", change, PATH),
    Act(f"{PATH}/support", "download support bundle", bundle, PATH),
)
