"""Run a campaign, or repeat one generated request of it.

python -m tests.campaigns.fuzz --seed 4711 --requests 20000 --raw 100000
python -m tests.campaigns.fuzz --seed 4711 --only 17
"""

from __future__ import annotations

import argparse
import asyncio
import secrets

from tests.campaigns.fuzz.campaign import Campaign
from tests.harness.integration import installed


def main() -> int:
    """The exit code: 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--raw", type=int, default=100_000)
    parser.add_argument("--only", type=int, help="the number of one generated request")
    return asyncio.run(_run(parser.parse_args()))


async def _run(given: argparse.Namespace) -> int:
    print(f"seed {given.seed}", flush=True)
    async with installed(shards=1, coreapps=1, masters=1) as site:
        campaign = Campaign(site, given.seed)
        if given.only is not None:
            request, got = await campaign.one(given.only)
            print(request.raw, got, sep="\n")
            return 0
        report = await campaign.run(given.requests, given.raw)
    print("\n".join(report.lines()))
    return 1 if report.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
