"""Webhooks of the Cloud API, taken apart: every element by itself, and what is left out counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.upstream.cloud.samples import (
    ANN,
    ANN_WITHOUT_NUMBER,
    BEA,
    DELIVERED,
    FAILED,
    NEW_NUMBER,
    NUMBER,
    NUMBERLESS,
    OURS,
    OWNED,
    SENT_WAMID,
    TEXT,
    VOICE,
    WEBHOOK_LOST,
    change,
    dumped,
    elements,
    entry,
    envelope,
    only,
    value,
    webhook,
)
from warouter.upstream.cloud.batch import (
    ERROR,
    INBOUND,
    STATUS,
    Element,
    Modes,
    NoticeAction,
    Unreadable,
)
from warouter.upstream.cloud.elements import read


def test_a_status_names_its_message_its_attempt_and_its_customer() -> None:
    assert only(contacts=[ANN], statuses=[DELIVERED]) == Element(
        kind=STATUS,
        key=f"{SENT_WAMID}:delivered:1764000000",
        raw=dumped(DELIVERED),
        wamid=SENT_WAMID,
        status="delivered",
        reference=OURS,
        wa_id="15550001111",
        user_id="US.1122334455",
        name="Ann",
        timestamp=1764000000,
    )


def test_a_failed_status_comes_without_contacts_and_reference() -> None:
    assert only(statuses=[FAILED]) == Element(
        kind=STATUS,
        key=f"{SENT_WAMID}:failed:1764000002",
        raw=dumped(FAILED),
        wamid=SENT_WAMID,
        status="failed",
        wa_id="15550001111",
        timestamp=1764000002,
    )


def test_a_message_comes_with_its_contact() -> None:
    assert only(contacts=[BEA], messages=[VOICE]) == Element(
        kind=INBOUND,
        key="wamid.HBgVoice",
        raw=dumped(VOICE),
        contact=dumped(BEA),
        wamid="wamid.HBgVoice",
        wa_id="5511900002222",
        user_id="BR.99",
        name="Bea",
        timestamp=1764000004,
    )


def test_a_sender_may_have_no_number() -> None:
    assert only(contacts=[ANN_WITHOUT_NUMBER], messages=[NUMBERLESS]) == Element(
        kind=INBOUND,
        key="wamid.HBgNumberless",
        raw=dumped(NUMBERLESS),
        contact=dumped(ANN_WITHOUT_NUMBER),
        wamid="wamid.HBgNumberless",
        user_id="US.1122334455",
        username="ann.x",
        name="Ann",
        timestamp=1764000003,
    )


def test_a_new_number_says_who_it_was_and_who_it_is() -> None:
    assert only(messages=[NEW_NUMBER]) == Element(
        kind=INBOUND,
        key="wamid.HBgSystem",
        raw=dumped(NEW_NUMBER),
        wamid="wamid.HBgSystem",
        wa_id="15550001111",
        user_id="US.77",
        previous_user_id="US.1122334455",
        changed_to="15550003333",
        timestamp=1764000005,
    )


def test_an_error_is_nobodys_and_counts_again_in_another_hour() -> None:
    body = webhook(change(errors=[WEBHOOK_LOST]))
    (first,), (same,), (later,) = (read(body, OWNED, now).elements for now in (7200, 10799, 10800))
    assert (first.kind, first.wa_id, first.timestamp) == (ERROR, "", 0)
    assert first.raw == dumped(WEBHOOK_LOST)
    assert first.key == same.key != later.key


def test_the_hour_of_an_error_is_its_entrys() -> None:
    """A webhook that Meta repeats an hour later brings the same error."""
    body = envelope(entry(change(errors=[WEBHOOK_LOST]), time=1764000000))
    (first,), (repeated,) = (read(body, OWNED, now).elements for now in (0, 9 * 3600))
    assert first.key == repeated.key


SYSTEM = {"id": "wamid.S", "timestamp": "1764000005", "type": "system"}
CHANGED, RENAMED = "user_changed_number", "user_changed_user_id"
NUMBERED = {"from": "15550001111"}
OLD, NEW = {"from_user_id": "US.1"}, {"from_user_id": "US.2"}


def system(kind: str, sender: Mapping[str, str] = {}, **said: str) -> dict[str, Any]:
    return {**SYSTEM, **sender, "system": {"type": kind, **said}}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        # as it was until previous_user_id came
        (
            system(CHANGED, NUMBERED, wa_id="15550003"),
            {"wa_id": "15550001111", "changed_to": "15550003"},
        ),
        # as it was up to v11
        (
            system("customer_changed_number", NUMBERED, new_wa_id="15550003"),
            {"wa_id": "15550001111", "changed_to": "15550003"},
        ),
        # the sender's user id may be the old one or the new one: the system's own goes before it
        (
            system(CHANGED, OLD, wa_id="15550003", user_id="US.2"),
            {"previous_user_id": "US.1", "user_id": "US.2", "changed_to": "15550003"},
        ),
        (
            system(CHANGED, NEW, wa_id="15550003", user_id="US.2"),
            {"user_id": "US.2", "changed_to": "15550003"},
        ),
        (
            system(CHANGED, OLD, wa_id="15550003"),
            {"previous_user_id": "US.1", "changed_to": "15550003"},
        ),
        (
            system(RENAMED, user_id="US.2", parent_user_id="US.ENT.2", previous_user_id="US.1"),
            {"previous_user_id": "US.1", "user_id": "US.2", "parent_user_id": "US.ENT.2"},
        ),
        (
            system(RENAMED, user_id="US.2", wa_id="15550001"),
            {"user_id": "US.2", "wa_id": "15550001"},
        ),
        (
            system("customer_identity_changed", NUMBERED | OLD, identity="Ab/c="),
            {"wa_id": "15550001111", "user_id": "US.1"}
            | {"identity_hash": "Ab/c=", "identity_changed": True},
        ),
    ],
)
def test_system_messages(message: dict[str, Any], found: dict[str, Any]) -> None:
    assert only(messages=[message]) == Element(
        kind=INBOUND,
        key="wamid.S",
        wamid="wamid.S",
        raw=dumped(message),
        timestamp=1764000005,
        **found,
    )


def test_the_field_of_new_user_ids_is_read_as_the_system_message_that_says_the_same() -> None:
    update = {
        "wa_id": "15557654321",
        "detail": "User id for Ann has been updated.",
        "user_id": {"previous": "US.1", "current": "US.2"},
        "timestamp": "1764000003",
    }
    (element,) = elements(change("user_id_update", user_id_update=[update]))
    assert (element.wa_id, element.previous_user_id, element.user_id, element.timestamp) == (
        "15557654321",
        "US.1",
        "US.2",
        1764000003,
    )
    assert json.loads(element.raw)["system"]["type"] == "user_changed_user_id"
    assert element.key.startswith("user_id_update-")


def test_every_entry_every_change_and_every_element_is_read() -> None:
    statuses = [DELIVERED | {"id": f"wamid.{n}"} for n in range(4)]
    messages = [TEXT | {"id": f"wamid.{n}"} for n in range(4, 8)]
    body = envelope(
        entry(change(statuses=statuses[:2]), change(messages=messages[:2])),
        entry(change(statuses=statuses[2:], messages=messages[2:])),
    )
    wamids = [element.wamid for element in read(body, OWNED).elements]
    assert wamids == [f"wamid.{n}" for n in (0, 1, 4, 5, 2, 3, 6, 7)]


def test_each_element_has_the_number_that_it_came_to() -> None:
    """Their keys may be equal: a wamid is unique among those of its number alone."""
    second = change(statuses=[DELIVERED], messages=[TEXT])
    second["value"]["metadata"]["phone_number_id"] = "2002"
    for parts in ({"statuses": [DELIVERED]}, {"statuses": [DELIVERED], "messages": [TEXT]}):
        batch = read(webhook(change(**parts), second), OWNED | {"2002": 2})
        assert [element.number for element in batch.elements] == [1] * len(parts) + [2, 2]
        assert batch.counted == {}
    usual = change(statuses=[DELIVERED])
    usual["value"]["metadata"]["phone_number_id"] = "2002"
    [element] = read(webhook(usual), OWNED | {"2002": 2}).elements
    assert element.unique == (2, element.key)


def test_the_newest_time_is_that_of_the_elements_of_our_number() -> None:
    foreign = change(statuses=[DELIVERED | {"timestamp": "1800000000"}])
    foreign["value"]["metadata"]["phone_number_id"] = "123456123"
    batch = read(webhook(change(statuses=[DELIVERED, FAILED]), foreign), OWNED)
    assert batch.newest == 1764000002
    assert read(webhook(), OWNED).newest == 0


def test_elements_of_other_numbers_are_counted() -> None:
    for number in ("123456123", None, 5, {}):
        foreign = value(statuses=[DELIVERED, FAILED], messages=[TEXT], errors=[WEBHOOK_LOST])
        foreign["metadata"]["phone_number_id"] = number
        changes = [{"field": "messages", "value": foreign}, change(messages=[TEXT])]
        batch = read(webhook(*changes), OWNED)
        assert [element.wamid for element in batch.elements] == [TEXT["id"]]
        assert batch.counted == {"foreign_number": 4}
    nameless = value(statuses=[DELIVERED])
    del nameless["metadata"]
    batch = read(webhook({"field": "messages", "value": nameless}), OWNED)
    assert (batch.elements, batch.counted) == ([], {"foreign_number": 1})


def test_the_id_of_the_number_may_be_written_as_a_number() -> None:
    changed = change(messages=[TEXT])
    changed["value"]["metadata"]["phone_number_id"] = int(NUMBER)
    assert len(elements(changed)) == 1


@pytest.mark.parametrize(
    ("field", "action"),
    [
        ("account_update", NoticeAction.ACCOUNT),
        ("account_alerts", NoticeAction.ACCOUNT),
        ("account_review_update", NoticeAction.ACCOUNT),
        ("security", NoticeAction.ACCOUNT),
        ("phone_number_quality_update", NoticeAction.LEVEL),
        ("business_capability_update", NoticeAction.LOG),
        ("phone_number_name_update", NoticeAction.LOG),
        ("user_preferences", NoticeAction.LOG),
        ("business_username_update", NoticeAction.LOG),
        ("message_template_status_update", NoticeAction.TEMPLATES),
        ("message_template_quality_update", NoticeAction.TEMPLATES),
        ("message_template_components_update", NoticeAction.TEMPLATES),
        ("template_category_update", NoticeAction.TEMPLATES),
    ],
)
def test_notices_say_what_they_ask_for(field: str, action: NoticeAction) -> None:
    said = {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}
    batch = read(webhook({"field": field, "value": said}, change(messages=[TEXT])), OWNED)
    (notice,) = batch.notices
    assert (notice.field, notice.raw, notice.action) == (field, dumped(said), action)
    assert len(batch.elements) == 1


@pytest.mark.parametrize(
    ("field", "counted"),
    [
        ("history", "history"),
        ("smb_app_state_sync", "history"),
        ("calls", "call"),
        ("flows", "flow"),
        ("group_lifecycle_update", "group"),
        ("of_next_year", "unknown_field"),
        ("", "unknown_field"),
    ],
)
def test_fields_of_no_use_are_counted(field: str, counted: str) -> None:
    batch = read(webhook(change(field, messages=[TEXT]), change(messages=[TEXT])), OWNED)
    assert len(batch.elements) == 1
    assert (batch.counted, batch.notices) == ({counted: 1}, [])


@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("history", {"history": 1}),
        ("of_next_year", {"of_next_year": 1}),
        ("odd name\n", {"without a name": 1}),
        ("x" * 65, {"without a name": 1}),
        ("calls", {}),  # no words
        ("smb_app_state_sync", {}),
    ],
)
def test_a_field_that_may_hold_words_is_counted_by_its_name(
    field: str, named: dict[str, int]
) -> None:
    assert read(webhook(change(field, messages=[TEXT])), OWNED).left_out == named


SECOND, OTHER = (TEXT | {"id": f"wamid.HBg{n}"} for n in (2, 3))
ECHO = {"from": "15557770000", "to": "15550001111", "id": "wamid.E", "timestamp": "1764000005"}
ECHO |= {"type": "text", "text": {"body": "we open at 9"}}
STANDBY = change("standby", contacts=[ANN], messages=[TEXT, SECOND], statuses=[DELIVERED])


def test_standby_elements_are_kept_and_their_statuses_are_evidence() -> None:
    batch = read(webhook(STANDBY, change(messages=[OTHER])), OWNED)
    assert [element.wamid for element in batch.elements] == [SENT_WAMID, OTHER["id"]]
    assert [(kept.field, kept.raw) for kept in batch.kept] == [
        ("standby", dumped(STANDBY["value"]))
    ]
    assert batch.left_out == {"standby": 2}
    again = read(webhook(STANDBY), OWNED)
    assert again.kept[0].key == batch.kept[0].key


@pytest.mark.parametrize(("mode", "mark"), [("mark", {"standby": True}), ("pass", {})])
def test_standby_messages_are_called_back_if_configured(mode: str, mark: dict[str, bool]) -> None:
    batch = read(webhook(STANDBY), OWNED, modes=Modes(standby=mode))
    status, first, second = batch.elements
    assert (status.kind, first.name, second.wamid) == (STATUS, "Ann", SECOND["id"])
    assert json.loads(first.raw) == TEXT | mark
    assert (batch.left_out, batch.kept) == ({}, [])


@pytest.mark.parametrize("mode", ["off", "mark", "pass"])
@pytest.mark.parametrize("parts", [{}, {"messages": []}, {"threads": [{"text": "hi"}]}])
def test_unknown_standby_elements_are_kept(mode: str, parts: dict[str, Any]) -> None:
    batch = read(webhook(change("standby", **parts)), OWNED, modes=Modes(standby=mode))
    assert (batch.elements, batch.left_out) == ([], {"standby": 1})
    assert len(batch.kept) == 1


@pytest.mark.parametrize("field", ["standby", "smb_message_echoes"])
def test_echoes_are_kept_unless_configured(field: str) -> None:
    body = webhook(change(field, message_echoes=[ECHO], contacts=[ANN]))
    batch = read(body, OWNED, modes=Modes(standby="pass"))
    assert (batch.elements, batch.left_out, len(batch.kept)) == ([], {field: 1}, 1)
    for mode, mark in ("mark", True), ("pass", False):
        batch = read(body, OWNED, modes=Modes(echoes=mode))
        (element,) = batch.elements
        assert (element.kind, element.wa_id, element.name) == (INBOUND, "15550001111", "Ann")
        assert json.loads(element.raw) == ECHO | {"echo": mark}
        assert (batch.left_out, batch.kept) == ({}, [])


def test_handovers_are_kept_whatever_is_configured() -> None:
    value = change("messaging_handovers", handover={"to": "business"})
    batch = read(webhook(value), OWNED, modes=Modes("pass", "pass"))
    assert (batch.elements, batch.left_out, len(batch.kept)) == ([], {"messaging_handovers": 1}, 1)


@pytest.mark.parametrize("field", ["standby", "smb_message_echoes", "messaging_handovers"])
def test_another_numbers_is_left_to_it(field: str) -> None:
    body = webhook(change(field, messages=[TEXT], message_echoes=[ECHO]))
    batch = read(body, {"1": 1})
    assert (batch.elements, batch.kept, batch.left_out) == ([], [], {})


@pytest.mark.parametrize("odd", [5, {"type": "text"}, TEXT | {"from": None}])
def test_a_message_that_cannot_be_read_is_kept(odd: Any) -> None:
    batch = read(webhook(change(messages=[odd, TEXT])), OWNED)
    assert [kept.raw for kept in batch.kept] == [dumped(odd)]
    assert (len(batch.elements), batch.left_out) == (1, {"unreadable": 1})


def test_groups_are_counted() -> None:
    message = TEXT | {"group_id": "Y2FwaV9ncm91cDox"}
    status = DELIVERED | {"recipient_type": "group"}
    batch = read(webhook(change(messages=[message, TEXT], statuses=[status])), OWNED)
    assert [element.wamid for element in batch.elements] == [TEXT["id"]]
    assert batch.counted == {"group": 2}
    assert batch.left_out == {"group messages": 1}


def test_another_object_than_an_account_is_counted() -> None:
    body = webhook(change(messages=[TEXT])).replace(b"whatsapp_business_account", b"page")
    batch = read(body, OWNED)
    assert (batch.elements, batch.counted) == ([], {"unknown_object": 1})


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"[]", b"5", b"null", b'"x"', b"{", b'{"entry":[{]}', b"\xff", b"[" * 10_000],
)
def test_an_element_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable, match="not "):
        read(body, OWNED)


def test_an_object_without_anything_holds_nothing() -> None:
    for body in (b"{}", b'{"entry":null}', b'{"entry":[]}', b'{"entry":[{"changes":null}]}'):
        batch = read(body, OWNED)
        assert (batch.elements, batch.notices, batch.counted) == ([], [], {})


NO_ELEMENT: list[Any] = [None, 5, "x", [], [[]], True, {}]


@pytest.mark.parametrize("bad", NO_ELEMENT)
def test_a_bad_element_costs_no_neighbour(bad: Any) -> None:
    """At each level of the envelope, and in each array of a value."""
    good = change(contacts=[bad, ANN, bad], messages=[bad, TEXT, bad], statuses=[bad, DELIVERED])
    others = [{"field": "messages", "value": bad}, change(messages=bad, statuses=bad, errors=bad)]
    body = envelope(bad, entry(bad, *others, good, bad), bad, {"changes": bad})
    batch = read(body, OWNED)
    found = [e for e in batch.elements if e.kind != ERROR]
    assert [(e.kind, e.wa_id, e.user_id, e.name) for e in found] == [
        (STATUS, "15550001111", "US.1122334455", "Ann"),
        (INBOUND, "15550001111", "US.1122334455", "Ann"),
    ]
    assert batch.counted["unreadable"] >= 5
    assert batch.reason


@pytest.mark.parametrize(
    "parts",
    [
        {"statuses": {}},
        {"messages": "x"},
        {"errors": 5},
        {"contacts": {}, "messages": [TEXT]},
        {"contacts": [5], "messages": [TEXT]},
    ],
)
def test_unreadable_elements_are_counted(parts: dict[str, Any]) -> None:
    batch = read(webhook(change(**parts)), OWNED)
    assert (batch.counted, len(batch.elements)) == ({"unreadable": 1}, len(parts) - 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None},
        {"id": ""},
        {"id": 5},
        {"id": "x" * 513},
        {"id": "wamid.\x00"},
        {"id": "wamid.\n"},
        {"status": None},
        {"status": ""},
        {"status": "a:b"},
        {"status": "\x00"},
        {"status": "x" * 65},
        {"status": ["sent"]},
    ],
)
def test_a_status_without_id_or_name_is_unreadable(changed: dict[str, Any]) -> None:
    batch = read(webhook(change(statuses=[DELIVERED | changed, FAILED])), OWNED)
    assert [element.status for element in batch.elements] == ["failed"]
    assert batch.counted == {"unreadable": 1}


@pytest.mark.parametrize(
    "name",
    ["recipient_id", "recipient_user_id", "timestamp", "pricing", "biz_opaque_callback_data"],
)
@pytest.mark.parametrize("bad", [None, 5, "", "\x00", [], {}, True, "x" * 10_000])
def test_a_status_outlives_its_other_fields(name: str, bad: Any) -> None:
    (element,) = elements(change(statuses=[DELIVERED | {name: bad}]))
    assert (element.wamid, element.status) == (SENT_WAMID, "delivered")
    assert name == "biz_opaque_callback_data" or element.reference == OURS


@pytest.mark.parametrize(
    ("sender", "wa_id", "user_id"),
    [
        ("15550001111", "15550001111", ""),
        ("+15550001111", "15550001111", ""),
        ("49151", "49151", ""),
        ("123456789012345", "123456789012345", ""),
        ("US.13491208655302741918", "", "US.13491208655302741918"),
        ("US.ENT.1", "", "US.ENT.1"),
    ],
)
def test_a_sender_is_taken_for_what_it_looks_like(sender: str, wa_id: str, user_id: str) -> None:
    element = only(messages=[TEXT | {"from": sender}])
    assert (element.wa_id, element.user_id) == (wa_id, user_id)
    element = only(statuses=[DELIVERED | {"recipient_id": sender, "recipient_user_id": None}])
    assert (element.wa_id, element.user_id) == (wa_id, user_id)
    contact = {"profile": {}, "wa_id": sender}
    element = only(contacts=[contact], messages=[TEXT | {"from": None}])
    assert (element.wa_id, element.user_id) == (wa_id, user_id)


@pytest.mark.parametrize(
    "sender",
    [
        None,
        "",
        "4915",
        "1234567890123456",
        "\u0661" * 9,
        "49151 ",
        "49151\n",
        "49 151",
        15550001111,
        "US.\x00",
        "US. 1",
        "U" * 257,
        {},
    ],
)
def test_a_message_of_nobody_is_unreadable(sender: Any) -> None:
    batch = read(webhook(change(messages=[TEXT | {"from": sender}, VOICE])), OWNED)
    assert [element.wamid for element in batch.elements] == [VOICE["id"]]
    assert (batch.counted, batch.reason) == ({"unreadable": 1}, "a message has no sender")


def test_contacts_belong_to_whom_they_name() -> None:
    other = TEXT | {"id": "wamid.O", "from": "15550009999"}
    batch = read(webhook(change(contacts=[BEA, ANN], messages=[VOICE, TEXT, other])), OWNED)
    assert [(e.name, e.user_id) for e in batch.elements] == [
        ("Bea", "BR.99"),
        ("Ann", "US.1122334455"),
        ("", ""),
    ]


def test_a_contact_of_another_user_is_not_the_senders() -> None:
    """Of a number that went to somebody else, say."""
    message = TEXT | {"from_user_id": "US.5"}
    element = only(contacts=[ANN], messages=[message])
    assert (element.wa_id, element.user_id, element.name) == ("15550001111", "US.5", "")


def test_a_contact_tells_the_number_of_its_user_id() -> None:
    assert only(contacts=[ANN], messages=[NUMBERLESS]).wa_id == "15550001111"
    status = DELIVERED | {"recipient_id": None}
    assert only(contacts=[ANN], statuses=[status]).wa_id == "15550001111"


def test_an_unnamed_message_belongs_to_the_only_contact() -> None:
    message = TEXT | {"from": None}
    assert only(contacts=[ANN], messages=[message]).wa_id == "15550001111"
    assert elements(change(contacts=[ANN, BEA], messages=[message])) == []


def test_ids_of_the_parent_company_are_found() -> None:
    contact = ANN | {"parent_user_id": "US.ENT.1"}
    for parts in ({"messages": [TEXT]}, {"statuses": [DELIVERED]}):
        assert only(contacts=[contact], **parts).parent_user_id == "US.ENT.1"
    message = TEXT | {"from_parent_user_id": "US.ENT.2"}
    assert only(contacts=[contact], messages=[message]).parent_user_id == "US.ENT.2"
    status = DELIVERED | {"recipient_parent_user_id": "US.ENT.3"}
    assert only(contacts=[contact], statuses=[status]).parent_user_id == "US.ENT.3"


def test_the_hash_of_an_identity_is_found() -> None:
    contact = ANN | {"identity_key_hash": "Ab/c="}
    assert only(contacts=[contact], messages=[TEXT]).identity_hash == "Ab/c="
    assert only(contacts=[contact], statuses=[DELIVERED]).identity_hash == "Ab/c="
    status = DELIVERED | {"recipient_identity_key_hash": "De+f="}
    assert only(contacts=[contact], statuses=[status]).identity_hash == "De+f="


@pytest.mark.parametrize("foreign", ["", "order-77", "w1.", "w1.x.1", OURS + "0000", 5, None])
def test_opaque_data_of_others_is_no_reference(foreign: Any) -> None:
    assert only(statuses=[DELIVERED | {"biz_opaque_callback_data": foreign}]).reference == ""


@pytest.mark.parametrize(
    ("written", "timestamp"),
    [
        ("1764000000", 1764000000),
        (1764000000, 1764000000),
        ("", 0),
        ("soon", 0),
        ("-1", 0),
        (-1, 0),
        (True, 0),
        (1.5, 0),
        ("1764000000000", 0),
        (10**10, 0),
        (10**100, 0),
        ("9" * 5000, 0),
        ("\u0661" * 9, 0),
        (None, 0),
    ],
)
def test_a_time_is_unix_seconds_or_unknown(written: Any, timestamp: int) -> None:
    element = only(statuses=[DELIVERED | {"timestamp": written}])
    assert element.timestamp == timestamp
    assert element.key == f"{SENT_WAMID}:delivered:{timestamp}"


def test_one_key_is_one_element() -> None:
    """Of the same POST; those of others the table knows."""
    again = change(statuses=[DELIVERED, FAILED], messages=[TEXT])
    batch = read(webhook(again, again), OWNED)
    assert len(batch.elements) == 3
    assert batch.counted == {"repeated": 3}


def test_long_and_odd_ids_make_no_long_and_no_equal_keys() -> None:
    wamids = ["x" * 512, "x" * 511 + "y", "wamid.A:sent:1", "wamid.A", "\N{SNOWMAN}" * 512]
    statuses = [
        DELIVERED | {"id": wamid, "status": "s" * 64, "timestamp": "1764000000"} for wamid in wamids
    ]
    statuses.append(DELIVERED | {"id": "wamid.A", "status": "sent", "timestamp": "1"})
    messages = [TEXT | {"id": wamid} for wamid in wamids]
    batch = read(webhook(change(statuses=statuses, messages=messages)), OWNED)
    assert len(batch.elements) == 11
    assert max(len(element.key) for element in batch.elements) <= 512
    assert {element.wamid for element in batch.elements} == set(wamids)


def test_texts_have_no_nul_and_an_end() -> None:
    """PostgreSQL cannot hold the one."""
    contact = ANN | {"profile": {"name": "A\x00n" + "n" * 9999, "username": "\x00"}}
    element = only(contacts=[contact], messages=[TEXT])
    assert element.name.startswith("Ann")
    assert len(element.name) == 512
    assert element.username == ""


@pytest.mark.parametrize(
    ("odd", "even"),
    [
        (rb'"\ud800 and \udc00\ud83d\udc4d"', "\ufffd and \ufffd\N{THUMBS UP SIGN}"),
        (rb'"\\ud800"', "\\ud800"),
        (b'"\xff"', "\ufffd"),
        (b'"\x00\n"', "\x00\n"),
        (b"1e400", None),
        (b"9" * 5000, None),
        (b"-" + b"9" * 5000, None),
    ],
)
def test_json_a_strict_parser_refuses_is_mended(odd: bytes, even: Any) -> None:
    body = webhook(change(messages=[TEXT | {"odd": "ODD"}], statuses=[DELIVERED]))
    status, message = read(body.replace(b'"ODD"', odd), OWNED).elements
    assert status.raw == dumped(DELIVERED)
    assert json.loads(message.raw) == TEXT | {"odd": even}


@pytest.mark.parametrize("depth", [150, 500, 100_000])
@pytest.mark.parametrize(("opens", "closes"), [(b"[", b"]"), (b'{"k":', b"}")])
def test_too_deep_nesting_ends_the_reading(depth: int, opens: bytes, closes: bytes) -> None:
    body = webhook(change(messages=[TEXT | {"deep": "DEEP"}], statuses=[DELIVERED]))
    deep = opens * depth + b"1" + closes * depth
    status, message = read(body.replace(b'"DEEP"', deep), OWNED).elements
    assert status.raw == dumped(DELIVERED)
    found = json.loads(message.raw)
    assert found.pop("deep")
    assert found == TEXT
    kept = message.raw.count(opens)
    assert kept <= 210
    assert kept >= 150


def test_elements_older_than_eight_days_are_left_out() -> None:
    errors = {"errors": [{"code": 131035, "title": "t"}]}
    of_messages = change("messages", messages=[VOICE], statuses=[FAILED], **errors)
    at = 1764000000
    body = envelope(entry(of_messages, change("account_update"), time=at))
    young = read(body, OWNED, at + 7 * 86_400)
    assert (len(young.elements), len(young.notices)) == (3, 1)
    old = read(body, OWNED, at + 9 * 86_400)
    assert (old.elements, old.notices, old.counted) == ([], [], Counter({"old": 4}))
    assert old.left_out == {"old": len(old.kept)}  # what a customer wrote
    assert old.kept
    assert "8 days" in old.reason


@pytest.mark.parametrize("field", ["standby", "smb_message_echoes", "messaging_handovers"])
def test_old_elements_are_left_out_though_kept_whole(field: str) -> None:
    at = 1764000000
    body = envelope(entry(change(field, messages=[VOICE], message_echoes=[VOICE]), time=at))
    assert read(body, OWNED, at + 7 * 86_400).kept
    old = read(body, OWNED, at + 9 * 86_400)
    assert (old.kept, old.elements, old.counted) == ([], [], Counter({"old": 1}))
