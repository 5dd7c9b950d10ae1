"""The table of scopes in docs/keys.md, and the scope of each route."""

from __future__ import annotations

from tests.harness.scope_table import PAGE, page
from warouter.access.scopes import ANY, Scope
from warouter.api.app import D360_ROUTES, ROUTES
from warouter.api.route import Access


def test_the_page_has_the_present_routes() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "run `make docs`"


def test_each_route_names_one_scope() -> None:
    for route in (*ROUTES, *D360_ROUTES):
        needs_none = route.access in (Access.OPEN, Access.LOGIN) or "logout" in route.path
        assert (route.scope == ANY) is needs_none, route.name
        assert needs_none or route.scope in list(Scope), route.name


def test_monitoring_is_for_keys_that_monitor() -> None:
    for route in (*ROUTES, *D360_ROUTES):
        assert (route.access is Access.MONITOR) is (route.scope == Scope.MONITOR), route.name
