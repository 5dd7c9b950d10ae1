"""Answers of the Graph API: each code's class and v1 code, and that no bytes upset the judge."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter import codes
from warouter.upstream.cloud.answers import Class, Judged, judge, status_error

WAMID = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNEQTA2RjdGMEY4RTRGAA=="
N, L, P, O, F, D = (  # noqa: E741 - as the table of the specification names them
    Class.NOT_TAKEN,
    Class.LANE,
    Class.PAUSE,
    Class.OPERATOR,
    Class.FINAL,
    Class.DOUBT,
)

# class, v1 code, (code, HTTP status)…: the table of errors, row by row
ROWS: list[tuple[Class, int, list[tuple[int, int]]]] = [
    (N, 429, [(4, 400), (80007, 400), (613, 400), (4, 429), (999999, 429), (131048, 429)]),
    (N, 429, [(17, 400), (32, 403), (341, 400)]),
    (N, 429, [(130429, 400), (130429, 429)]),
    (L, 429, [(131056, 400), (131056, 429)]),
    (P, 1011, [(131057, 500), (2494100, 500), (131057, 400)]),
    (N, 1011, [(131016, 500), (133004, 503), (2, 503)]),
    (D, 500, [(1, 400), (131000, 500), (131000, 400)]),
    (O, 1014, [(0, 401), (190, 401), (3, 500), (10, 403), (131005, 403), (33, 400)]),
    (O, 1014, [(200, 403), (250, 400), (299, 403)]),
    (O, 1014, [(102, 401), (102, 400), (12, 400), (2500, 400), (2635, 400)]),
    (O, 430, [(133010, 400), (133006, 400), (131045, 500)]),
    (O, 1031, [(368, 403), (131031, 403)]),
    (F, 1031, [(130497, 403)]),
    (O, 1031, [(131037, 400)]),
    (F, 402, [(131042, 400), (134011, 400)]),
    (F, 471, [(131048, 400), (131064, 400)]),
    (F, 472, [(130472, 400), (131049, 400), (131050, 400)]),
    (F, 1013, [(131026, 400)]),
    (F, 1007, [(131030, 400)]),
    (F, 1009, [(131021, 400)]),
    (F, 470, [(131047, 400)]),
    (F, 480, [(137000, 400)]),
    (F, 1009, [(131062, 400)]),
    (F, 1009, [(100, 400), (131009, 400), (135000, 400), (100, 500)]),
    (F, 1008, [(131008, 400)]),
    (F, 501, [(131051, 400)]),
    (F, 400, [(131052, 400)]),
    (F, 2008, [(131053, 400)]),
    (F, 2003, [(131063, 400), (131055, 400), (134100, 400)]),
    (F, 2000, [(132000, 400)]),
    (F, 2001, [(132001, 404)]),
    (F, 2005, [(132005, 400)]),
    (F, 2007, [(132007, 400)]),
    (F, 2012, [(132008, 400), (132012, 400), (132018, 400)]),
    (F, 2061, [(132015, 400)]),
    (F, 2062, [(132016, 400)]),
    (F, 2003, [(132068, 400), (132069, 400)]),
    (O, 1005, [(133005, 400), (133008, 400), (133009, 400)]),
    (O, 1015, [(133015, 400), (133016, 400)]),
    (F, 401, [(131020, 400), (131041, 400)]),
    (F, 1012, [(131201, 400), (131209, 400)]),
    (F, 1014, [(131035, 400), (131059, 400), (999999, 400), (199, 400), (300, 404)]),
    (D, 500, [(999999, 500), (131035, 503), (199, 302)]),
]
CASES = [(cls, v1, code, status) for cls, v1, found in ROWS for code, status in found]


def error(code: Any, **more: Any) -> bytes:
    said = {"message": f"(#{code}) Said", "type": "OAuthException", "fbtrace_id": "A1b2"}
    return msgspec.json.encode({"error": {**said, "code": code, **more}})


def taken(**more: Any) -> bytes:
    answer = {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+15550001111", "wa_id": "15550001111", "user_id": "US.1122334455"}],
        "messages": [{"id": WAMID}],
    }
    return msgspec.json.encode({**answer, **more})


@pytest.mark.parametrize(("cls", "v1", "code", "status"), CASES)
def test_each_code_has_its_class_and_its_v1_code(
    cls: Class, v1: int, code: int, status: int
) -> None:
    judged = judge(status, error(code))
    assert (judged.cls, judged.code, judged.meta_code) == (cls, v1, code)
    assert judged.title == codes.title(v1)
    assert judged.details == f"(#{code}) Said"
    limited = cls is N and v1 == 429 and code != 130429
    assert (judged.slower, judged.limited) == (limited or code == 130429, limited)
    assert judged.strange == (cls is F and v1 == 1014)
    assert judged.alarm == (cls is F and code in (131042, 134011, 131048, 131064))
    assert judged.upload_again == (code in (100, 131053))
    waits = {N: 1_000, P: 5_000}
    assert judged.wait_ms == waits.get(cls, 0)


@pytest.mark.parametrize(("cls", "v1", "code", "status"), CASES)
def test_transient_errors_end_nothing_and_prove_nothing(
    cls: Class, v1: int, code: int, status: int
) -> None:
    judged = judge(status, error(code, is_transient=True))
    assert judged.cls is (N if cls is F else cls)
    assert judged.wait_ms >= 1_000 or cls is not F
    assert not judged.strange


@pytest.mark.parametrize(("status", "code"), [(400, 130429), (503, 2), (500, 131000), (502, -1)])
def test_retry_after_is_of_the_whole_number(status: int, code: int) -> None:
    body = error(code) if code >= 0 else b"<html>"
    assert judge(status, body, "7").rest_ms == 7_000
    assert judge(status, body, "999999").rest_ms == 300_000
    assert judge(status, body, "soon").rest_ms == 0
    assert judge(400, error(131056), "7").rest_ms == 0, "only its recipient waits"


def test_a_shown_code_has_a_title_of_its_own() -> None:
    generic = codes.title(-1)
    assert [v1 for _cls, v1, _ in ROWS if codes.title(v1) == generic and v1 != 500] == []


@pytest.mark.parametrize("status", [200, 201])
def test_an_accepted_message(status: int) -> None:
    expected = Judged(Class.TAKEN, wamid=WAMID, wa_id="15550001111", user_id="US.1122334455")
    assert judge(status, taken()) == expected


@pytest.mark.parametrize(
    ("said", "held"),
    [("accepted", False), ("held_for_quality_assessment", True), ("paused", True), (None, False)],
)
def test_a_held_template_is_told_apart(said: str | None, held: bool) -> None:
    judged = judge(200, taken(messages=[{"id": WAMID, "message_status": said}]))
    assert (judged.cls, judged.wamid, judged.held) == (Class.TAKEN, WAMID, held)


@pytest.mark.parametrize(
    ("contacts", "wa_id", "user_id"),
    [
        ([], "", ""),
        (None, "", ""),
        ({}, "", ""),
        ([5], "", ""),
        ([{"wa_id": 5}], "", ""),
        ([{"input": "US.1", "user_id": "US.1"}], "", "US.1"),
        ([{"wa_id": "US.1", "user_id": None}], "", ""),
        ([{"wa_id": "1" * 16, "user_id": "x" * 600}], "", ""),
        ([{"wa_id": "\N{SUPERSCRIPT TWO}" * 9, "user_id": "a\0b"}], "", ""),
    ],
)
def test_odd_contacts_cost_no_wamid(contacts: Any, wa_id: str, user_id: str) -> None:
    expected = Judged(Class.TAKEN, wamid=WAMID, wa_id=wa_id, user_id=user_id)
    assert judge(200, taken(contacts=contacts)) == expected


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"{}"),
        (200, b"<html>"),
        (200, taken()[:-1]),
        (200, taken(messages=[])),
        (200, taken(messages=[{"id": ""}])),
        (200, taken(messages=[{"id": "x" * 513}])),
        (200, taken(messages=[{"id": "a\0b"}])),
        (200, error(190)),
        (302, b""),
        (400, b"<html>"),
        (403, b"not for you"),
        (404, b"{}"),
        (400, error(None)),
        (400, error("x")),
        (400, error(True)),
        (400, error(-1)),
        (400, error(1 << 31)),
        (500, b""),
        (502, b"<html>Bad gateway</html>"),
        (503, error(131016)[:-1]),
        (504, b"[" * 100_000),
        (504, b'{"error":' * 100_000),
    ],
)
def test_an_answer_that_is_no_graph_answer_proves_nothing(status: int, body: bytes) -> None:
    judged = judge(status, body)
    assert (judged.cls, judged.code, judged.meta_code) == (Class.DOUBT, 500, -1)
    assert str(status) in judged.details


@pytest.mark.parametrize("body", [b"", b"slow down", b"{}", error("x"), b"\xff"])
def test_too_many_requests_are_never_taken_whatever_the_body(body: bytes) -> None:
    judged = judge(429, body)
    assert (judged.cls, judged.code, judged.meta_code) == (Class.NOT_TAKEN, 429, -1)


@pytest.mark.parametrize("body", [b"", b"who are you", error(999999)])
def test_a_refused_token_stops_the_number_whatever_the_body(body: bytes) -> None:
    judged = judge(401, body)
    assert (judged.cls, judged.code) == (Class.OPERATOR, 1014)
    assert judged.details


@pytest.mark.parametrize("subcode", [33, "33"])
def test_the_older_spelling_of_a_number_that_is_gone_stops_it(subcode: Any) -> None:
    judged = judge(400, error(100, error_subcode=subcode))
    assert (judged.cls, judged.code, judged.meta_code) == (Class.OPERATOR, 1014, 33)
    assert judge(400, error(100, error_subcode=2494010)).cls is Class.FINAL


@pytest.mark.parametrize(
    ("retry_after", "wait_ms"),
    [
        ("", 1_000),
        ("0", 1_000),
        (" 7 ", 7_000),
        ("300", 300_000),
        ("301", 300_000),
        ("9" * 30, 1_000),
        ("-5", 1_000),
        ("1.5", 1_000),
        ("\N{SUPERSCRIPT TWO}", 1_000),
        ("Fri, 27 Nov 2026 10:00:00 GMT", 1_000),
    ],
)
def test_the_wait_is_what_was_asked_within_bounds(retry_after: str, wait_ms: int) -> None:
    assert judge(429, b"", retry_after).wait_ms == wait_ms
    assert judge(400, error(131056), retry_after).wait_ms == 0
    assert judge(400, error(100), retry_after).wait_ms == 0


@pytest.mark.parametrize(
    ("more", "details"),
    [
        ({"error_data": {"details": "Why."}, "error_user_msg": "For people."}, "Why."),
        ({"error_data": {}, "error_user_msg": "For people."}, "For people."),
        ({"error_data": None}, "(#100) Said"),
        ({"error_data": "odd"}, "the Graph API answered HTTP 400"),
        ({"error_data": {"details": "☺" * 3000}}, "☺" * 2000),
        ({"error_data": {"details": "a\0b"}}, "ab"),
    ],
)
def test_details_are_metas_words(more: dict[str, Any], details: str) -> None:
    judged = judge(400, error(100, **more))
    assert (judged.cls, judged.code, judged.details) == (Class.FINAL, 1009, details)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
answers = st.one_of(
    json,
    st.fixed_dictionaries(
        {},
        optional={
            "messages": st.lists(st.fixed_dictionaries({}, optional={"id": json})) | json,
            "contacts": st.lists(st.fixed_dictionaries({}, optional={"wa_id": json})) | json,
            "error": st.fixed_dictionaries(
                {},
                optional={
                    "code": st.integers() | json,
                    "message": json,
                    "error_data": json,
                    "error_subcode": json,
                },
            ),
        },
    ),
)


@given(
    st.integers(100, 599) | st.sampled_from([200, 400, 401, 429, 500]) | st.integers(),
    st.binary() | answers.map(msgspec.json.encode),
    st.text(),
)
def test_any_answer_is_judged(status: int, body: bytes, retry_after: str) -> None:
    judged = judge(status, body, retry_after)
    assert (judged.cls is Class.TAKEN) == bool(judged.wamid) == (judged.code == 0)
    assert 0 <= judged.wait_ms <= 300_000
    assert len(judged.details) <= 2000
    assert -1 <= judged.meta_code < 1 << 31
    msgspec.msgpack.encode(msgspec.structs.replace(judged, cls=0))


# ---------------------------------------------------------------- statuses


@pytest.mark.parametrize(("_cls", "v1", "code", "status"), CASES)
def test_a_failed_status_has_the_same_v1_code(_cls: Class, v1: int, code: int, status: int) -> None:
    if status in (429, 302) or code in (999999, 131035, 199):
        v1 = {130429: 429, 131056: 429, 131048: 471, 4: 429}.get(code, 1014)
    assert status_error(code, "Title")["code"] == v1


def test_the_error_of_a_status_has_metas_words() -> None:
    made = status_error(131026, "Message undeliverable", "Message Undeliverable.")
    assert made == {
        "code": 1013,
        "title": "User is not valid",
        "details": "Message Undeliverable.",
        "href": "/v1/errors#1013",
    }
    assert status_error(131047, "Re-engagement message")["details"] == "Re-engagement message"
    assert status_error(131047)["details"] == codes.details(470)
    assert status_error(131047)["href"] == "/v1/errors#470"
    assert status_error(1, details="a\0b" + "x" * 3000)["details"] == "ab" + "x" * 1997
