"""Messages of v1 as the Graph API takes them: one row a type, and what may never leave."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.api.messages.hsm import as_template
from warouter.api.messages.validate import parse_message
from warouter.media.references import find
from warouter.message_id import mint, text_of
from warouter.upstream.cloud.outgoing import (
    Addressee,
    Untranslatable,
    mentions,
    read_mark,
    translate,
)

TO = Addressee("15550001111")
OURS = text_of(mint(7, 1_764_000_000_000, bytes(range(12))))
UNKNOWN = text_of(mint(3, 1_764_000_000_001, bytes(range(12))))
WAMID = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNEQTA2RjdGMEY4RTRGAA=="
THEIRS = "wamid.HBgLMTU1NTAwMDExMTEVAgASGBI="
REFERENCE = f"w1.{OURS}.1"
TOP = {
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
}
LANGUAGE = {"code": "en_US", "policy": "fallback"}
LIST: dict[str, Any] = {
    "type": "list",
    "body": {"text": "choose"},
    "action": {"button": "Open", "sections": [{"rows": [{"id": "1", "title": "one"}]}]},
}


def sent(message: dict[str, Any], to: Addressee = TO, **given: Any) -> dict[str, Any]:
    """What goes out for a message that POST /v1/messages takes."""
    body = msgspec.json.encode({"to": "+1 555 000 1111", **message})
    if parse_message(body).type == "hsm":
        body = as_template(body)
    made: dict[str, Any] = msgspec.json.decode(translate(body, to, REFERENCE, **given))
    return made


def template(*parameters: Any, **component: Any) -> dict[str, Any]:
    components = [{"type": "body", "parameters": list(parameters), **component}]
    return {"namespace": "ns", "name": "n", "language": LANGUAGE, "components": components}


def of_template(*parameters: Any, **component: Any) -> dict[str, Any]:
    return {
        "name": "n",
        "language": {"code": "en_US", "policy": "deterministic"},
        "components": [{"type": "body", "parameters": list(parameters), **component}],
    }


def interactive(kind: str, action: Any, **rest: Any) -> dict[str, Any]:
    return {"type": kind, "body": {"text": "b"}, "action": action, **rest}


def of(kind: str, content: object) -> dict[str, Any]:
    """A part, or a whole message, of this type."""
    return {"type": kind, kind: content}


MEDIA, NAMED = {"id": "a-v1-id", "provider": {"name": "aws"}}, {"filename": "f"}
URL = {"display_text": "d", "url": "u"}
AS_THEY_ARE = [
    of("currency", {"code": "EUR", "amount_1000": 5}),
    of("location", {"latitude": 1, "longitude": 2}),
    of("coupon_code", "C"),
]
BUTTONS = {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "yes"}}]}
PRODUCTS = {"catalog_id": "c", "sections": [{"product_items": [{"product_retailer_id": "p"}]}]}
FLOW = {"name": "flow", "parameters": {"flow_message_version": "3", "flow_id": "1"}}
SAME: Any = object()

# type, its v1 object, its Cloud object (SAME: as it was)
TYPES: list[tuple[str, Any, Any]] = [
    ("text", {"body": "h☺"}, SAME),
    ("text", {"body": "x", "preview_url": True}, SAME),
    ("image", {**MEDIA, "caption": "c"}, {"id": "up1", "caption": "c"}),
    ("image", {"link": "https://a/b", "id": None, "caption": ""}, {"id": "up1"}),
    ("video", {**MEDIA, "caption": "c", "filename": "f"}, {"id": "up1", "caption": "c"}),
    ("audio", {**MEDIA, "caption": "c", "voice": True}, {"id": "up1", "voice": True}),
    (
        "document",
        {**MEDIA, "caption": "c", "filename": "f.pdf"},
        {"id": "up1", "caption": "c", "filename": "f.pdf"},
    ),
    ("sticker", {**MEDIA, "caption": "c"}, {"id": "up1"}),
    ("location", {"latitude": 0, "longitude": -1.5, "name": "n", "address": "a"}, SAME),
    (
        "location",
        {"latitude": "1.5", "longitude": 0, "name": None, "more": 1},
        {"latitude": "1.5", "longitude": 0},
    ),
    (
        "contacts",
        [
            {
                "name": {"formatted_name": "A", "suffix": None},
                "phones": [{"phone": "1"}],
                "org": None,
            }
        ],
        [{"name": {"formatted_name": "A"}, "phones": [{"phone": "1"}]}],
    ),
    ("reaction", {"message_id": THEIRS, "emoji": "👍"}, SAME),
    ("reaction", {"message_id": OURS, "emoji": ""}, {"message_id": WAMID, "emoji": ""}),
    ("interactive", interactive("button", BUTTONS), SAME),
    (
        "interactive",
        interactive("button", BUTTONS, header=of("image", MEDIA) | {"text": "x"}),
        interactive("button", BUTTONS, header=of("image", {"id": "up1"})),
    ),
    (
        "interactive",
        interactive("button", BUTTONS, header=of("document", {"link": "https://a/b", **NAMED})),
        interactive("button", BUTTONS, header=of("document", {"id": "up1", **NAMED})),
    ),
    ("interactive", LIST, SAME),
    ("interactive", {**LIST, "header": {"type": "text", "text": "h"}}, SAME),
    ("interactive", {**LIST, "footer": {"text": ""}, "header": None}, LIST),
    ("interactive", {**LIST, "footer": {"text": "f"}}, SAME),
    ("interactive", {"type": "product", "action": PRODUCTS | {"product_retailer_id": "p"}}, SAME),
    (
        "interactive",
        interactive("product_list", PRODUCTS, header={"type": "text", "text": "h"}),
        SAME,
    ),
    ("interactive", interactive("catalog_message", {"name": "catalog_message"}), SAME),
    ("interactive", interactive("location_request_message", {"name": "send_location"}), SAME),
    ("interactive", interactive("flow", FLOW), SAME),
    ("interactive", interactive("cta_url", {"name": "cta_url", "parameters": URL}), SAME),
    ("interactive", interactive("address_message", {"name": "a", "parameters": {"x": 1}}), SAME),
    ("interactive", interactive("order_details", {"name": "review_and_pay"}), SAME),
    ("interactive", interactive("order_status", {"name": "review_order"}), SAME),
    (
        "template",
        {"namespace": "ns", "name": "n", "language": {"code": "en_US"}, "components": []},
        {"name": "n", "language": {"code": "en_US", "policy": "deterministic"}},
    ),
    (
        "template",
        template({"type": "text", "text": "x", "parameter_name": "p", "image": None, "video": {}}),
        of_template({"type": "text", "text": "x", "parameter_name": "p"}),
    ),
    (
        "template",
        template({"type": "payload", "payload": "x"}, type="button", sub_type="url", index=0),
        of_template({"type": "payload", "payload": "x"}, type="button", sub_type="url", index="0"),
    ),
    (
        "template",
        template(of("document", {**MEDIA, **NAMED}), type="header"),
        of_template(of("document", {"id": "up1", **NAMED}), type="header"),
    ),
    (
        "template",
        template(of("date_time", {"fallback_value": "now", "day_of_week": 5}), *AS_THEY_ARE),
        of_template(of("date_time", {"fallback_value": "now"}), *AS_THEY_ARE),
    ),
]


@pytest.mark.parametrize(("kind", "given", "expected"), TYPES)
def test_each_type_as_the_graph_api_has_it(kind: str, given: Any, expected: Any) -> None:
    made = sent({"type": kind, kind: given}, media=["up1"], wamids={OURS: WAMID})
    assert made == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+15550001111",
        "type": kind,
        kind: given if expected is SAME else expected,
        "biz_opaque_callback_data": REFERENCE,
    }


def test_an_hsm_arrives_as_the_template_that_it_is() -> None:
    hsm = {
        "namespace": "ns",
        "element_name": "n",
        "language": LANGUAGE,
        "localizable_params": [{"default": "a"}, {"default": "b"}],
    }
    texts = [{"type": "text", "text": one} for one in "ab"]
    made = sent({"type": "hsm", "hsm": hsm})
    assert made["template"] == of_template(*texts)
    assert "hsm" not in made


def test_a_message_without_a_type_is_a_text() -> None:
    made = sent({"text": {"body": "x"}, "type": None})
    assert (made["type"], made["text"]) == ("text", {"body": "x"})


@pytest.mark.parametrize("flag", [True, False, "true", 1])
def test_the_preview_moves_into_the_text(flag: Any) -> None:
    made = sent({"text": {"body": "x", "preview_url": False}, "preview_url": flag})
    assert made["text"] == {"body": "x", "preview_url": flag is not False}
    assert "preview_url" not in made


@pytest.mark.parametrize("index", [0, "2", 1.0, "1e0"])
def test_the_index_of_a_button_is_a_string(index: Any) -> None:
    made = sent({"type": "template", "template": template(sub_type="url", index=index)})
    assert made["template"]["components"][0]["index"] == str(int(float(index)))


def test_fields_the_graph_api_lacks_stay_behind() -> None:
    clutter = {"ttl": 60, "image": {}, "interactive": None, "recipient_type": None, "more": [1]}
    assert sent({"text": {"body": "x"}, **clutter}) == sent({"text": {"body": "x"}})


def test_a_user_without_a_number_is_named_by_the_bsuid_alone() -> None:
    made = sent({"text": {"body": "x"}}, Addressee("999123456789012", "US.1122"))
    assert made["recipient"] == "US.1122"
    assert "to" not in made


# ---------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("quoted", "expected"),
    [
        (OURS, {"message_id": WAMID}),
        (THEIRS, {"message_id": THEIRS}),
        (UNKNOWN, None),
        (None, None),
        ("", None),
    ],
)
def test_a_quoted_message_is_named_by_metas_id(quoted: str | None, expected: Any) -> None:
    message = {"text": {"body": "x"}, "context": {"message_id": quoted}}
    assert sent(message, wamids={OURS: WAMID}).get("context") == expected


def test_a_reaction_to_what_has_no_wamid_is_refused() -> None:
    with pytest.raises(Untranslatable) as raised:
        sent({"type": "reaction", "reaction": {"message_id": UNKNOWN, "emoji": "x"}})
    assert (raised.value.code, raised.value.title) == (1009, "Parameter value is not valid")


REACTION = of("reaction", {"message_id": OURS})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"text": {"body": "x"}}, []),
        ({"text": {"body": "x"}, "context": {"message_id": OURS}}, [OURS]),
        ({"text": {"body": "x"}, "context": {"message_id": THEIRS}}, []),
        ({"text": {"body": "x"}, "context": {}}, []),
        ({"text": {"body": "x"}, "reaction": {"message_id": OURS}}, []),
        (REACTION, [OURS]),
        (REACTION | {"context": {"message_id": OURS}}, [OURS]),
        (REACTION | {"context": {"message_id": UNKNOWN}}, [UNKNOWN, OURS]),
        ({"type": "reaction"}, []),
        ([], []),
    ],
)
def test_our_ids_in_a_message_are_found(message: Any, expected: list[str]) -> None:
    assert mentions(msgspec.json.encode(message)) == expected
    assert mentions(memoryview(msgspec.json.encode(message))) == expected


def test_a_read_mark() -> None:
    body = msgspec.json.encode({"status": "read", "message_id": THEIRS})
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": THEIRS}
    assert msgspec.json.decode(read_mark(body)) == mark
    typing = {**mark, "typing_indicator": {"type": "text"}}
    assert msgspec.json.decode(read_mark(body, typing=True)) == typing


@pytest.mark.parametrize("body", [b"", b"{}", b'{"message_id":null}', b"\xff"])
def test_a_broken_read_mark_is_refused(body: bytes) -> None:
    with pytest.raises(Untranslatable):
        read_mark(body)


# ---------------------------------------------------------------- media


def linked(kind: str, name: str) -> dict[str, Any]:
    return of(kind, {"link": f"https://a/{name}"})


def component(kind: str, *parameters: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"type": kind, **rest, "parameters": list(parameters)}


def card(n: int, kind: str) -> dict[str, Any]:
    button = component("button", of("text", "x"), sub_type="url", index=n)
    return {"card_index": n, "components": [component("header", linked(kind, str(n))), button]}


CARDS = [card(0, "image"), card(1, "video")]
COMPONENTS = [
    component("carousel", linked("document", "first"), of("text", "t"), cards=CARDS),
    component("header", linked("image", "last")),
]
CAROUSEL = of("template", {"name": "n", "language": {"code": "en"}, "components": COMPONENTS})


def references(value: Any) -> list[str]:
    """Each id and link below a Cloud object, with the parameters of a component first."""
    if isinstance(value, list):
        return [found for one in value for found in references(one)]
    if not isinstance(value, dict):
        return []
    below = sorted(value, key=lambda key: key == "cards")
    own = [value[key] for key in ("id", "link") if key in value]
    return own + [found for key in below for found in references(value[key])]


def test_media_ids_go_where_the_references_were_in_the_same_order() -> None:
    found = find(msgspec.json.encode({"to": "x", **CAROUSEL}))
    links = [one.link for one in found]
    assert [link.removeprefix("https://a/") for link in links] == ["first", "0", "1", "last"]
    made = sent(CAROUSEL, media=["1", "2", "3", "4"])
    assert references(made["template"]) == ["1", "2", "3", "4"]
    assert references(sent(CAROUSEL)["template"]) == links  # Meta fetches them
    cards = made["template"]["components"][0]["cards"]
    assert [card["components"][1]["index"] for card in cards] == ["0", "1"]
    assert [card["card_index"] for card in cards] == [0, 1]


media = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from(["", "v1"]),
            "link": st.sampled_from(["", "https://a/b"]),
            "caption": st.sampled_from([None, "c"]),
        },
    ),
)
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "video", "document", "IMAGE", "location"])},
    optional={"image": media, "video": media, "document": media, "text": st.just("t")},
)
components = st.recursive(
    st.lists(
        st.fixed_dictionaries({"type": st.just("header"), "parameters": st.lists(parts)}),
        max_size=3,
    ),
    lambda inner: st.lists(
        st.fixed_dictionaries(
            {"type": st.just("carousel")},
            optional={
                "cards": st.lists(
                    st.fixed_dictionaries({}, optional={"components": inner}), max_size=3
                ),
                "parameters": st.none() | st.lists(parts, max_size=2),
            },
        ),
        max_size=3,
    ),
    max_leaves=5,
)


@given(components)
def test_each_media_reference_uses_an_id(components: Any) -> None:
    language = {"code": "en"}
    body = msgspec.json.encode(
        {"type": "template", "template": {"language": language, "components": components}}
    )
    count = len(find(body))
    given = [f"up{n}" for n in range(count + 1)]
    made = msgspec.json.decode(translate(body, TO, REFERENCE, media=given))
    assert [one for one in references(made["template"]) if one.startswith("up")] == given[:count]


# ---------------------------------------------------------------- what never leaves

values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.one_of(
    values,
    st.sampled_from([given for _kind, given, _expected in TYPES]),
)
KINDS = sorted({kind for kind, _given, _expected in TYPES})
messages = st.fixed_dictionaries(
    {"type": st.sampled_from([*KINDS, None, "hsm", "x"])},
    optional={
        "preview_url": values,
        "ttl": values,
        "context": st.fixed_dictionaries({"message_id": st.sampled_from([OURS, THEIRS, UNKNOWN])}),
        "to": st.text(),
        "recipient_type": st.text(),
        **dict.fromkeys(KINDS, objects),
    },
)
addresses = st.builds(
    Addressee,
    st.from_regex(r"[0-9]{5,15}", fullmatch=True),
    st.sampled_from(["", "US.1122", "BR.ENT.99"]),
)


@given(messages, addresses)
def test_only_known_keys_leave_and_each_message_has_one_recipient(
    message: dict[str, Any], to: Addressee
) -> None:
    body = msgspec.json.encode(message)
    try:
        text = translate(body, to, REFERENCE, media=["up1"], wamids={OURS: WAMID})
    except Untranslatable:
        return
    made = msgspec.json.decode(text)
    assert set(made) <= TOP | {made["type"]}
    assert made["recipient_type"] == "individual"
    assert made["biz_opaque_callback_data"] == REFERENCE
    assert ("to" in made) != ("recipient" in made)
    assert made.get("to", "+" + to.wa_id) == "+" + to.wa_id
    assert made.get("recipient", to.user_id) == to.user_id
    assert made.get("context", {}).get("message_id") not in (OURS, UNKNOWN)
    if made["type"] == "reaction":
        assert made["reaction"]["message_id"] not in (OURS, UNKNOWN)


@given(st.binary() | messages.map(msgspec.json.encode))
def test_nothing_else_is_raised_whatever_the_bytes(body: bytes) -> None:
    mentions(body)
    for make in (lambda: translate(body, TO, REFERENCE), lambda: read_mark(body)):
        with suppress(Untranslatable):
            msgspec.json.decode(make())


DEEP = 100_000  # beyond what any Python follows


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"type":"hsm","hsm":{}}', 501),
        (b'{"type":"group"}', 501),
        (b'{"type":"image","image":null}', 1008),
        (b'{"type":"image","image":{}}', 1008),
        (b'{"type":"text"}', 1008),
        (b'{"type":"text","text":{}}', 1008),
        (b'{"type":"template","template":{"components":[]}}', 1009),
        (b'{"type":"template","template":{"language":5}}', 1009),
        (b'{"type":"template","template":{"language":{},"components":5}}', 1009),
        (b'{"type":"template","template":{"language":{},"components":[5]}}', 1009),
        (b'{"type":"template","template":{"language":{},"components":[{"index":"x"}]}}', 1009),
        (b'{"type":"interactive","interactive":{"x":1e999}}', 1009),
        (
            b'{"type":"interactive","interactive":' + b'{"x":' * DEEP + b"1" + b"}" * DEEP + b"}",
            1009,
        ),
        (b"[" * 100_000, 1009),
        (b"", 1009),
    ],
)
def test_unsendable_messages_say_why(body: bytes, code: int) -> None:
    with pytest.raises(Untranslatable) as raised:
        translate(body, TO, REFERENCE)
    assert raised.value.code == code
    assert raised.value.details
