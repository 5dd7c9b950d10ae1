"""Whatever a webhook holds: nothing is raised but Unreadable, and no good element is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.harness.patch import patched
from tests.unit.upstream.cloud.samples import (
    ANN,
    DELIVERED,
    OUR_ID,
    OWNED,
    TEXT,
    VALUES,
    change,
    dumped,
    entry,
    envelope,
)
from warouter.kinds import EVENT_NAMES
from warouter.message_id import text_of
from warouter.upstream.checks import problem
from warouter.upstream.cloud import elements, inbound, statuses
from warouter.upstream.cloud.batch import (
    ERROR,
    LONGEST_KEY,
    MODES,
    STATUS,
    Batch,
    Element,
    Modes,
    Unreadable,
)
from warouter.upstream.cloud.elements import read
from warouter.upstream.cloud.usual_webhook import statuses_of
from warouter.upstream.protocol import Event

GOOD_STATUS = DELIVERED | {"id": "wamid.good", "recipient_id": "15559990000"}
GOOD_TEXT = TEXT | {"id": "wamid.good", "from": "15559990000"}
GOOD = change(statuses=[GOOD_STATUS], messages=[GOOD_TEXT])

ODD_TEXT = st.sampled_from(["", "\x00", "US.1", "4" * 16, "x" * 600, "a:b", "\N{SNOWMAN}", "\x1f"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**17, 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | ODD_TEXT
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def places(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every part of a JSON value, itself left out."""
    inner = (
        found.items()
        if isinstance(found, dict)
        else enumerate(found)
        if isinstance(found, list)
        else ()
    )
    for key, part in inner:
        yield (*path, key)
        yield from places(part, (*path, key))


def with_part(found: Any, path: tuple[Any, ...], part: Any) -> Any:
    *above, last = path
    changed = deepcopy(found)
    parent_of(changed, above)[last] = part
    return changed


def without_part(found: Any, path: tuple[Any, ...]) -> Any:
    *above, last = path
    changed = deepcopy(found)
    del parent_of(changed, above)[last]
    return changed


def parent_of(found: Any, above: list[Any]) -> Any:
    for key in above:
        found = found[key]
    return found


@st.composite
def mutilated(draw: st.DrawFn) -> dict[str, Any]:
    """The value of a real webhook, some of its parts replaced, left out, renamed or repeated."""
    value = deepcopy(draw(st.sampled_from(VALUES)))
    for _ in range(draw(st.integers(1, 4))):
        if found := list(places(value)):
            mutilate(draw, value, draw(st.sampled_from(found)))
    return value


def mutilate(draw: st.DrawFn, value: dict[str, Any], path: tuple[Any, ...]) -> None:
    *above, last = path
    parent = parent_of(value, above)
    match draw(st.sampled_from(["replace", "leave out", "rename", "repeat"])):
        case "rename" if isinstance(parent, dict):
            parent[draw(st.text(max_size=6))] = parent.pop(last)
        case "repeat" if isinstance(parent, list):
            parent.append(deepcopy(parent[last]))
        case "leave out":
            del parent[last]
        case _:
            parent[last] = draw(JSON)


def look_at(batch: Batch) -> None:
    """Each element can be stored, and in its v1 form, if it has one, become a callback."""
    keys = [element.key for element in batch.elements]
    assert len(set(keys)) == len(keys)
    for element in batch.elements:
        assert 0 < len(element.key) <= LONGEST_KEY
        assert element.key.isprintable()
        texts = [value for value in map(element.__getattribute__, element.__struct_fields__)]
        assert not any("\x00" in text for text in texts if isinstance(text, str))
        assert all(len(text) <= 512 for text in texts if isinstance(text, str))
        if event := event_of(element):
            assert problem(event) is None
            event.payload.decode()


def event_of(element: Element) -> Event | None:
    wa_id = element.wa_id or ("999123456789012" if element.kind != ERROR else "")
    if element.kind == STATUS:
        status = statuses.to_v1(element.raw, text_of(OUR_ID), wa_id)
        if status is None:
            return None
        key = f"{text_of(OUR_ID)}:{status.status}:{status.timestamp}"
        return Event(7, 1, "status", key, wa_id, status.payload)
    ids = dict.fromkeys(inbound.mentioned(element.raw), text_of(OUR_ID))
    message = inbound.to_v1(element.raw, element.contact, wa_id, ids)
    if message is None:
        return None
    name, key = EVENT_NAMES[message.kind], message.key or element.key
    return Event(7, 1, name, key, wa_id, message.payload, message.contact, message.media)


def good(batch: Batch) -> list[bytes]:
    return [element.raw for element in batch.elements if element.wamid == "wamid.good"]


@given(JSON)
def test_any_json_is_read_or_unreadable(found: Any) -> None:
    try:
        look_at(read(json.dumps(found).encode(), OWNED))
    except Unreadable:
        assert not isinstance(found, dict)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_unreadable(body: bytes) -> None:
    with suppress(Unreadable):
        look_at(read(body, OWNED))


@given(st.data())
def test_bytes_changed_in_a_webhook_raise_nothing_else(data: st.DataObject) -> None:
    body = bytearray(envelope(*(entry({"field": "messages", "value": value}) for value in VALUES)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with suppress(Unreadable):
        look_at(read(bytes(body), OWNED))


@given(mutilated())
def test_a_bad_value_costs_no_other(value: dict[str, Any]) -> None:
    body = envelope(entry({"field": "messages", "value": value}, GOOD))
    batch = read(body, OWNED)
    look_at(batch)
    assert good(batch) == [dumped(GOOD_STATUS), dumped(GOOD_TEXT)]


@given(mutilated(), st.integers(1, 2))
def test_the_usual_webhook_is_read_as_any_other(value: dict[str, Any], changes: int) -> None:
    """Whatever is odd in it."""
    body = envelope(entry(*[{"field": "messages", "value": value}] * changes))
    with patched([(elements, "statuses_of", lambda _body, _number: None)]):
        expected = read(body, OWNED)
    assert read(body, OWNED) == expected


def test_a_webhook_of_statuses_is_the_usual_one() -> None:
    statuses = [DELIVERED, GOOD_STATUS]
    found = statuses_of(envelope(entry(change(statuses=statuses, contacts=[ANN]))), OWNED)
    assert found is not None
    [(raw, contacts, number)] = found
    assert number == 1
    assert [bytes(each) for each in (*raw, *contacts)] == list(map(dumped, [*statuses, ANN]))


@pytest.mark.parametrize("bad", [None, True, 5, 10**40, "", "\x00", "US.1", [], [[]], {}, [{}]])
def test_every_part_of_a_webhook_may_be_anything(bad: Any) -> None:
    """Or be missing."""
    for value in VALUES:
        for path in places(value):
            replaced, left_out = with_part(value, path, bad), without_part(value, path)
            for wrong in (replaced, left_out):
                batch = read(envelope(entry({"field": "messages", "value": wrong}, GOOD)), OWNED)
                look_at(batch)
                assert good(batch) == [dumped(GOOD_STATUS), dumped(GOOD_TEXT)]


@given(JSON, JSON, JSON, JSON)
def test_a_bad_neighbour_costs_no_element(a: Any, b: Any, c: Any, d: Any) -> None:
    changed = change(contacts=[a, b], statuses=[c, GOOD_STATUS, d], messages=[d, GOOD_TEXT, a])
    batch = read(envelope(a, entry(b, changed, c), d), OWNED)
    look_at(batch)
    assert good(batch) == [dumped(GOOD_STATUS), dumped(GOOD_TEXT)]


@given(st.dictionaries(st.text(max_size=6) | st.sampled_from([*TEXT, "context"]), JSON))
def test_any_field_of_a_message_may_be_anything(fields: dict[str, Any]) -> None:
    kept = {"id": "wamid.good", "from": "15559990000", "group_id": None}
    batch = read(envelope(entry(change(messages=[TEXT | fields | kept]))), OWNED)
    look_at(batch)
    assert len(good(batch)) == 1


FIELDS = st.sampled_from(
    ["messages", "standby", "smb_message_echoes", "messaging_handovers", "history", "of_2027", ""]
)


@given(field=FIELDS, message=JSON, standby=st.sampled_from(MODES), echoes=st.sampled_from(MODES))
@example("messages", [TEXT | {"group_id": "g"}], "off", "off")
@example("standby", [TEXT], "off", "off")
@example("standby", [TEXT], "mark", "off")
@example("smb_message_echoes", [TEXT | {"to": "15550001111"}], "off", "pass")
def test_nothing_that_a_customer_may_have_said_is_dropped_in_silence(
    field: str, message: Any, standby: str, echoes: str
) -> None:
    """It becomes an event, or is counted by a name that the alert knows."""
    name = "message_echoes" if field == "smb_message_echoes" else "messages"
    body = envelope(entry(change(field, **{name: message})))
    batch = read(body, OWNED, modes=Modes(standby, echoes))
    said = message if isinstance(message, list) else [message] if message else []
    repeated = batch.counted["repeated"]
    assert len(batch.elements) + sum(batch.left_out.values()) + repeated >= bool(said)
    if field == "messages" and isinstance(message, list):
        assert len(batch.elements) + sum(batch.left_out.values()) + repeated >= len(said)
