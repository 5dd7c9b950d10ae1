"""schemathesis over every route of the description, against a real cluster, as administrator.

It is imported by the test that runs: that takes seconds, and each worker collects all tests.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from importlib import import_module
from typing import Any

import jsonschema_rs
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.harness.described import DOCUMENT, check_answer
from tests.harness.integration import Integration, installed
from tests.harness.wait import PATIENCE
from warouter.api.app import ROUTES

pytestmark = pytest.mark.xdist_group("schemathesis")

# A route: of a body there is more to draw than of the parts of a path.
EXAMPLES, WITHOUT_BODY = 15, 6
# The token's own end would make a stranger of the administrator.
LEFT_OUT = {("POST", "/v1/users/logout")}
CALLS = [(r.method, r.path) for r in ROUTES if (r.method, r.path) not in LEFT_OUT]


def test_the_description_is_valid_openapi() -> None:
    definitions = import_module("schemathesis.specs.openapi.definitions")
    validator = jsonschema_rs.Draft202012Validator(definitions.OPENAPI_31)
    assert [str(e) for e in validator.iter_errors(DOCUMENT)] == []


@pytest.fixture(scope="module")
def schema() -> Any:
    return import_module("schemathesis").openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def site() -> Iterator[Integration]:
    """A cluster on a loop and a thread of its own: schemathesis is not asynchronous."""
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    ready: Future[Integration] = Future()

    async def run() -> None:
        try:
            async with installed(shards=1, coreapps=1, masters=1) as site:
                ready.set_result(site)
                await stop.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        yield ready.result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        loop.close()


@pytest.mark.parametrize(("method", "path"), CALLS, ids=lambda part: part)
def test_no_5xx_and_nothing_undocumented(
    site: Integration, schema: Any, method: str, path: str
) -> None:
    operation = schema[path][method]
    has_body = "requestBody" in DOCUMENT["paths"][path][method.lower()]
    session = requests.Session()

    @seed(1)
    @settings(
        max_examples=EXAMPLES if has_body else WITHOUT_BODY,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        headers = {"Authorization": f"Bearer {site.token}"}
        response = case.call(base_url=site.cluster.url, headers=headers, session=session)
        assert response.status_code < 500 or response.status_code == 503, response.text
        if response.status_code == 405:
            return  # a parameter such as `..` that leads to another path
        asked = response.request.path_url
        headers = {name.title(): values[0] for name, values in response.headers.items()}
        check_answer(method, asked, response.status_code, headers, response.content)

    try:
        call()
    finally:
        session.close()
