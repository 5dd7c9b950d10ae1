"""POST /v1/users, and GET, PUT, DELETE of one."""

from __future__ import annotations

import pytest

from tests.harness.api import ADMIN_PASSWORD, USER_PASSWORD, Api

GOOD = "G00d!passw"


async def test_a_user_from_beginning_to_end(api: Api) -> None:
    body = {"username": "clerk", "password": GOOD, "ROLES": "ROLE_ADMIN", "role": "ROLE_ADMIN"}
    created = await api.call("POST", "/v1/users", body, token=api.admin)
    assert created.status == 201
    assert created.json["users"] == [{"username": "clerk"}]
    shown = await api.call("GET", "/v1/users/clerk", token=api.admin)
    assert shown.status == 200
    assert shown.json["users"] == [{"username": "clerk", "ROLES": "ROLE_USER"}]
    token = await api.token_of("clerk", GOOD)
    assert (await api.call("GET", "/v1/health", token=token)).status == 200

    changed = await api.call("PUT", "/v1/users/clerk", {"password": "0ther!Pass"}, token=api.admin)
    assert changed.status == 200
    assert changed.json["users"] == [{"username": "clerk"}]
    assert (await api.call("GET", "/v1/health", token=token)).status == 401
    token = await api.token_of("clerk", "0ther!Pass")

    deleted = await api.call("DELETE", "/v1/users/clerk/", token=api.admin)
    assert deleted.status == 200
    assert deleted.json["users"] == [{"username": "clerk"}]
    assert (await api.call("GET", "/v1/health", token=token)).status == 401
    assert (await api.login("clerk", "0ther!Pass")).status == 401
    assert (await api.call("GET", "/v1/users/clerk", token=api.admin)).code == 1006


async def test_the_administrator(api: Api) -> None:
    shown = await api.call("GET", "/v1/users/admin", token=api.admin)
    assert shown.json["users"] == [{"username": "admin", "ROLES": "ROLE_ADMIN"}]
    assert (await api.call("DELETE", "/v1/users/admin", token=api.admin)).status == 403
    assert (await api.login("admin", ADMIN_PASSWORD)).status == 200


async def test_a_name_that_is_taken(api: Api) -> None:
    body = {"username": "worker", "password": GOOD}
    answer = await api.call("POST", "/v1/users", body, token=api.admin)
    answer.refused(400, 1014)
    assert answer.error["title"] == "Internal error"
    assert answer.error["details"] == "Unable to create user. Already exist?"
    assert (await api.login("worker", USER_PASSWORD)).status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1008),
        ({"username": "clerk"}, 1008),
        ({"password": GOOD}, 1008),
        ({"username": "abc", "password": GOOD}, 1009),
        ({"username": "x" * 33, "password": GOOD}, 1009),
        ({"username": "a:bc", "password": GOOD}, 1009),
        ({"username": "a/bc", "password": GOOD}, 1009),
        ({"username": "a\r\nbc", "password": GOOD}, 1009),
        ({"username": "abcd\0", "password": GOOD}, 1009),
        ({"username": " abcd", "password": GOOD}, 1009),
        ({"username": "clerk", "password": "weak"}, 1009),
        ({"username": "clerk", "password": "x" * 65}, 1009),
        ({"username": 5, "password": GOOD}, 1009),
        ({"username": None, "password": GOOD}, 1009),
        ([], 1009),
    ],
)
async def test_users_that_are_refused(api: Api, body: object, code: int) -> None:
    (await api.call("POST", "/v1/users", body, token=api.admin)).refused(400, code)


@pytest.mark.parametrize("name", ["nobody", "%00", "%FF", "a%0d%0ab", "x" * 400, "'--", "%F0%9F"])
async def test_users_that_are_not_there(api: Api, name: str) -> None:
    path = f"/v1/users/{name}"
    for method, body in (("GET", None), ("PUT", {"password": GOOD}), ("DELETE", None)):
        (await api.call(method, path, body, token=api.admin)).refused(404, 1006)


async def test_a_weak_password_changes_nothing(api: Api) -> None:
    (await api.call("PUT", "/v1/users/worker", {"password": "weak"}, token=api.admin)).refused(
        400, 1009
    )
    assert (await api.call("GET", "/v1/health", token=api.user)).status == 200
