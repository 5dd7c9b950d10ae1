"""Which templates a client of 360dialog's dialect gets, in which order and form."""

from __future__ import annotations

from typing import Any

import pytest

from warouter.api.configs.page import page_of, shown
from warouter.errors import ParameterInvalid

GRAPH = [
    {"id": "3", "name": "b", "language": "de", "status": "APPROVED", "category": "MARKETING"},
    {"id": "1", "name": "a", "language": "en_US", "status": "REJECTED", "category": "UTILITY"},
    {"id": "2", "name": "a", "language": "de", "status": "APPROVED", "category": "UTILITY"},
]
TEMPLATES = [shown(one, "ns") for one in GRAPH]


def asked(**query: str) -> Any:
    return page_of(query).of(TEMPLATES)


def ids(answer: Any) -> str:
    return "".join(one["id"] for one in answer["waba_templates"])


def test_the_form_of_a_template() -> None:
    graph = GRAPH[0] | {"components": [{"type": "BODY"}], "rejected_reason": "NONE", "other": 1}
    assert shown(graph, "ns") == {
        "name": "b",
        "language": "de",
        "status": "approved",
        "category": "MARKETING",
        "components": [{"type": "BODY"}],
        "rejected_reason": "NONE",
        "id": "3",
        "namespace": "ns",
    }


def test_fields_of_other_types_are_empty() -> None:
    odd = {"name": 5, "status": None, "components": {}, "rejected_reason": None, "id": None}
    empty = {"name": "", "language": "", "status": "", "category": "", "id": "", "components": []}
    assert shown(odd, "") == empty | {"rejected_reason": "NONE", "namespace": ""}


def test_all_as_graph_has_them() -> None:
    answer = asked()
    assert ids(answer) == "312"
    del answer["waba_templates"]
    assert answer == {
        **{"count": 3, "total": 3, "limit": 1000, "offset": 0},
        **{"filters": {}, "sort": []},
    }


@pytest.mark.parametrize(
    ("query", "found", "total"),
    [
        ({"limit": "2"}, "31", 3),
        ({"limit": "2", "offset": "2"}, "2", 3),
        ({"limit": "0"}, "", 3),
        ({"offset": "9"}, "", 3),
        ({"filters": ""}, "312", 3),
        ({"filters": '{"status":"approved"}'}, "32", 2),
        ({"filters": '{"status":"APPROVED","category":"utility"}'}, "2", 1),
        ({"filters": '{"business_templates.name":"a"}', "limit": "1"}, "1", 2),
        ({"filters": '{"language":["de","fr"]}'}, "32", 2),
        ({"filters": '{"language":[]}'}, "", 0),
        ({"filters": '{"id":"2"}'}, "2", 1),
        ({"sort": "id"}, "123", 3),
        ({"sort": "-id"}, "321", 3),
        ({"sort": "business_templates.name,-language"}, "123", 3),
        ({"sort": '["name","language"]'}, "213", 3),
    ],
)
def test_pages(query: dict[str, str], found: str, total: int) -> None:
    answer = asked(**query)
    assert (ids(answer), answer["count"], answer["total"]) == (found, len(found), total)


def test_the_question_is_in_the_answer() -> None:
    answer = asked(sort="-name", filters='{"business_templates.name":"a"}', limit="5", offset="1")
    assert answer["sort"] == ["-name"]
    assert answer["filters"] == {"business_templates.name": "a"}
    assert (answer["limit"], answer["offset"]) == (5, 1)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": "-1"}, "limit must be"),
        ({"limit": "many"}, "limit must be"),
        ({"offset": "1e3"}, "offset must be"),
        ({"offset": "\u0663"}, "offset must be"),
        ({"limit": "1" * 9}, "limit must be"),
        ({"filters": "status"}, "filters must be"),
        ({"filters": "[]"}, "filters must be"),
        ({"filters": '{"status":5}'}, "filters must be"),
        ({"filters": "[" * 10_000}, "filters must be"),
        ({"filters": '{"partner_id":"x"}'}, "filters may name id, name"),
        ({"sort": "age"}, "sort may name id, name"),
        ({"sort": "--id"}, "sort may name id, name"),
    ],
)
def test_other_questions_are_refused(query: dict[str, str], words: str) -> None:
    with pytest.raises(ParameterInvalid, match=words):
        page_of(query)
