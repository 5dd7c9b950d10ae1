"""All routes, with a key of each scope and with tokens: exactly those may that are said to."""

from __future__ import annotations

import re

import pytest

from tests.api.test_keys import made
from tests.harness.api import Api, Webapp
from tests.harness.described import EVERY
from warouter.access.scopes import ANY, NAMES, includes
from warouter.api.access.attempts import refused
from warouter.api.route import Access, Route

LACKS = re.compile('the key lacks the scope "([a-z]+)"')
ADMINISTRATOR = "only an administrator may do this"


@pytest.fixture
async def api(webapp: Webapp) -> Api:
    """All routes, those of 360dialog's dialect among them."""
    return await webapp(d360=True)


@pytest.fixture
async def keys(api: Api) -> dict[str, str]:
    """A key of each scope alone, by the scope's name."""
    return {name: (await made(api, name))["key"] for name in NAMES}


async def refusal(api: Api, route: Route, token: str) -> str:
    """The words of a 403 or 401 to a request that could not be right; else its status."""
    path = re.sub(r"\{\w+\}", "0", route.path)
    answer = await api.call(route.method, path, token=token)
    if answer.status in (401, 403) and route.method != "HEAD":
        return str(answer.json["errors"][0]["details"])
    return str(answer.status)


@pytest.mark.parametrize("method", sorted({route.method for route in EVERY}))
async def test_keys(api: Api, keys: dict[str, str], method: str) -> None:
    for route in (route for route in EVERY if route.method == method):
        for name, key in keys.items():
            said = await refusal(api, route, key)
            lacking = LACKS.fullmatch(said)
            if route.access is Access.LOGIN:
                assert said.startswith("credentials are required"), route.name
            elif route.scope == ANY or includes(NAMES[name], route.scope):
                assert lacking is None, (route.name, name, said)
                assert said != refused(key).details, (route.name, name)
            elif method == "HEAD":
                assert said == "403", (route.name, name)
            else:
                assert lacking is not None, (route.name, name, said)
                assert NAMES[lacking[1]] == route.scope, (route.name, name)


@pytest.mark.parametrize("method", sorted({route.method for route in EVERY}))
async def test_tokens(api: Api, method: str) -> None:
    for route in (r for r in EVERY if r.method == method and r.access is not Access.LOGIN):
        if "logout" in route.path:
            continue
        said = await refusal(api, route, api.user)
        assert (said == ADMINISTRATOR) is (route.access is Access.ADMIN), (route.name, said)
        assert await refusal(api, route, api.admin) != ADMINISTRATOR, route.name
