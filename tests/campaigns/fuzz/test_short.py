"""A short campaign in every run of the tests; `make fuzz` runs the long one."""

from __future__ import annotations

from random import Random

from tests.campaigns.fuzz.campaign import Campaign
from tests.campaigns.fuzz.raw import bases, mutated
from tests.campaigns.fuzz.requests import made
from tests.harness.integration import installed
from warouter.api.app import ROUTES

SEED = 4
TOKENS = {"admin": "Bearer a", "user": "Bearer u"}


def test_a_seed_makes_the_same_requests_again() -> None:
    first = [made(SEED, n, TOKENS).raw for n in range(200)]
    assert [made(SEED, n, TOKENS).raw for n in range(200)] == first
    assert [made(SEED + 1, n, TOKENS).raw for n in range(200)] != first
    (base, *_) = bases("Bearer u")
    assert mutated(base, Random(1)) == mutated(base, Random(1))


def test_every_route_is_asked() -> None:
    asked = {(m.route.method, m.route.path) for m in (made(SEED, n, TOKENS) for n in range(3000))}
    assert {(r.method, r.path) for r in ROUTES} - asked == {("POST", "/v1/users/logout")}


async def test_a_short_campaign() -> None:
    async with installed(shards=1, coreapps=1, masters=1) as site:
        report = await Campaign(site, SEED).run(generated=1_500, raw=4_000)
    print("\n".join(report.lines()))
    assert report.failures == {}
    # It reaches all kinds of ends, or it shows nothing.
    assert {200, 201, 400, 401, 403, 404} <= set(report.statuses)
    assert report.accepted > 50
    assert {0, 200, 400, 401} <= set(report.raw_statuses)
