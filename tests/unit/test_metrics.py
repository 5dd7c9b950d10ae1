"""Metrics and their two forms."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import exposition
from tests.harness.sources import reads_sources, trees
from warouter.metric_catalogue import CATALOGUE, MetricPage
from warouter.metrics import Sample, json_form, labelled, text_form


def test_no_gauge_is_of_the_family_of_a_counter() -> None:
    """Prometheus' own client cuts ``_total`` off: both would be one family, of two types."""
    families = [name.removesuffix("_total") for name in CATALOGUE if name.endswith("_total")]
    assert [family for family in families if family in CATALOGUE] == []


def test_the_product_s_names_are_there() -> None:
    """Section 1.8 of the reference; web_total_processes is cut off there."""
    web = """web_uptime web_connections web_pending_connections web_max_pending_connections
        web_queue_len web_idle_processes web_total_processes web_requests
        api_requests_duration_ms_sum api_requests_duration_ms_count"""
    app = """callback_queue_size callback_requests callback_requests_duration_ms_count
        callback_requests_duration_ms_sum endpoint_requests pending_outgoing_messages"""
    db = "db_contacts db_message_receipts db_messages"
    for page, names in ((MetricPage.WEB, web), (MetricPage.APP, app), (MetricPage.DB, db)):
        assert {CATALOGUE[name].page for name in names.split()} == {page}


def test_ours_follow_prometheus_s_rules() -> None:
    for name, metric in CATALOGUE.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert metric.help[0].isupper() or metric.help[0] == "1"
        if name.startswith("warouter_"):
            assert name.endswith("_total") == (metric.type == "counter"), name


@reads_sources
def test_every_sample_that_is_taken_is_in_the_catalogue() -> None:
    """What is in none of its pages is shown nowhere, and nobody is told."""
    taken = {
        node.args[0].value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Sample"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    assert len(taken) > 40
    taken.remove("up")  # Prometheus's own, of each target
    assert taken - CATALOGUE.keys() == set(), "give these a line in static/metrics.json"


def test_text() -> None:
    samples = [
        Sample("web_requests", 2, {"state": "read", "node": "a:b"}),
        Sample("web_uptime", 12.0),
        Sample("web_requests", 0.5, {"state": 'x"\\\n', "node": "a:b"}),
    ]
    assert text_form(samples) == (
        "# HELP web_uptime How long the webapp has been running, in seconds\n"
        "# TYPE web_uptime gauge\n"
        "web_uptime 12\n"
        "# HELP web_requests Connections by state\n"
        "# TYPE web_requests gauge\n"
        'web_requests{state="read",node="a:b"} 2\n'
        'web_requests{state="x\\"\\\\\\n",node="a:b"} 0.5\n'
    )


def test_json() -> None:
    form = json_form(labelled([Sample("callback_queue_size", 3.0)], node="a"))
    assert form == {
        "callback_queue_size": {
            "type": "gauge",
            "help": "Events that wait for the webhook",
            "data": [{"labels": {"node": "a"}, "value": 3}],
        }
    }


def test_of_a_series_that_comes_twice_the_last_counts() -> None:
    twice = [Sample("web_uptime", 1, {"node": "a"}), Sample("web_uptime", 2, {"node": "a"})]
    assert [v.value for v in exposition.read(text_form(twice))] == [2.0]


def test_a_name_of_a_newer_build_is_left_out() -> None:
    assert text_form([Sample("warouter_of_tomorrow", 1)]) == ""
    assert json_form([Sample("warouter_of_tomorrow", 1)]) == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(CATALOGUE)),
            st.floats(-1e15, 1e15) | st.integers(-(2**40), 2**60),
            st.dictionaries(
                st.sampled_from(["node", "type", "result"]),
                st.text(st.characters(blacklist_categories=["Cs"])),
            ),
        )
    )
)
def test_any_value_and_label_is_read_back(drawn: list[tuple[str, float, dict[str, str]]]) -> None:
    samples = [Sample(*one) for one in drawn]
    read = {
        (v.name, frozenset(v.labels.items())): v.value for v in exposition.read(text_form(samples))
    }
    wanted = {(s.name, frozenset(s.labels.items())): s.value for s in samples}
    assert read.keys() == wanted.keys()
    for key, value in wanted.items():
        assert read[key] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "a 1",  # no newline at the end
        "a 1\n",  # no TYPE
        "# HELP a x\n# TYPE a gauge\nb 1\n",
        "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
        '# HELP a x\n# TYPE a gauge\na{b="1} 2\n',
        "# HELP a x\n# TYPE a histogram\na 1\n",
        "# HELP a x\n# TYPE a gauge\na NaN\n",
    ],
)
def test_the_reader_is_strict(text: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        exposition.read(text)
