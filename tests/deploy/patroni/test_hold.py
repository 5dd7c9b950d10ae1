"""PostgreSQL is promoted again and again below the Cloud API with the policy `hold`: Meta takes
nothing twice.

Some answers are lost, and the statuses of those messages come late, so that the policy has its say
and not only what webhooks prove.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.needs import unless
from tests.deploy.patroni.trio import Trio
from tests.deploy.patroni.watched import Row, Watched, watched
from tests.harness.facts import Facts
from tests.harness.wait import soon
from warouter.local.options import EMULATOR

pytestmark = unless("systemd-nspawn", "mmdebstrap", "ip")

PROMOTIONS = (
    *("switchover", "kill", "switchover", "partition", "switchover"),
    *("apart", "switchover", "plug", "switchover", "kill"),
)
# More recipients than the pair rate of one would keep busy.
RECIPIENTS = 300
SETTINGS = {"WAROUTER_CLOUD_IN_DOUBT": "hold", "WAROUTER_CLOUD_DOUBT_SECONDS": "6"}
META = (
    *("pair_s=0", "level=0", "latency_ms=100", "latency_most_ms=350"),
    *("drop_after=0.02", "hold_dropped_s=120"),
)
OPEN_SECONDS = 300.0  # until the last doubt has ended, which may be a blind one
_OPEN = "select count(*) from send_issue where state <> 3"
_PARKED = "select count(*) from parked_message"
_HELD = "select count(*) from send_issue where state = 3"
_UNKNOWN = """
select count(*) from unnest($1::text[]) as acked(id)
 where not exists (select from event e where e.key >= acked.id || ':' and e.key < acked.id || ':xx')
   and not exists (select from send_issue s
                    where rtrim(translate(encode(s.id, 'base64'), '+/', '-_'), '=') = acked.id)"""


async def test_hold_is_never_taken_twice(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("rows"):
        pytest.skip("PATRONI=--rows measures in its place")
    trio = Trio()
    try:
        await trio.start()
        began = await trio.whole()
        meta = {"upstream": EMULATOR, "emulator_faults": META}
        async with watched(trio, "hold", SETTINGS, recipients=RECIPIENTS, **meta) as run:
            print(f"\n{Row.head()}", flush=True)
            for name in PROMOTIONS:
                await run.round(name)
            found = await _found(run, await trio.whole() - began)
            print(said := _said(found), flush=True)
        assert found["promotions"] == len(PROMOTIONS), said
        assert (found["twice"], found["lost"], found["unknown"]) == (0, 0, 0), said
        assert found["promoted"], said  # else nothing was tried
    except BaseException:
        trio.keep_logs(tmp_path)
        raise
    finally:
        trio.remove()


async def _found(run: Watched, promotions: int) -> dict[str, Any]:
    """What Meta took, and what became of the rest, once no doubt is open any more."""
    lost = await run.lost()
    async with Facts(run.cluster) as facts:

        async def closed() -> bool:
            counts = [await facts.connection.fetchval(sql) for sql in (_OPEN, _PARKED)]
            return not any(counts)

        await soon(closed, OPEN_SECONDS)
        held = await facts.connection.fetchval(_HELD)
        acked = list(run.business.history.number)
        unknown = await facts.connection.fetchval(_UNKNOWN, acked)
    record = await run.business.record()
    return {
        "promotions": promotions,
        "acked": len(acked),
        "taken": record["unique"],
        "twice": record["repeats"],
        "duplicates": record["duplicates"],
        "doubted": _logged(run, '"message doubted"'),
        "promoted": _logged(run, '"message doubted"', '"timeline"'),
        "held": held,
        "lost": lost,
        "unknown": unknown,
    }


def _logged(run: Watched, *words: str) -> int:
    """How many lines of the logs have all of these."""
    logs = (path.read_text(errors="replace") for path in run.cluster.folder.glob("log/*.log"))
    return sum(all(word in line for word in words) for log in logs for line in log.splitlines())


def _said(found: dict[str, Any]) -> str:
    return (
        f"hold: {found['twice']} taken twice in {found['promotions']} promotions;"
        f" {found['acked']} acknowledged, {found['taken']} taken, {found['doubted']} doubted"
        f" ({found['promoted']} by a promotion), {found['held']} held,"
        f" {found['lost']} not stored, {found['unknown']} without a word"
    )
