"""A campaign: generated and mutated requests at a cluster, and what must hold of all of them.

No 5xx (but 503, which may be due), every answer as described, no change by what was refused, the
webapp alive with its memory flat. All is drawn from the seed: ``--only N`` repeats one request.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from random import Random
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.campaigns.fuzz.raw import bases, mutated
from tests.campaigns.fuzz.requests import Made, made
from tests.campaigns.fuzz.state import State, memory
from tests.campaigns.fuzz.wire import Got, Line, blurted
from tests.harness.described import Undocumented, check_answer
from tests.harness.integration import Integration

LINES = 16
BATCH = 64
RAW_BATCH = 2_000
RAW_AT_ONCE = 64
WARM_UP = 200  # requests before memory is looked at: what is made once is made by then
MOST_KIB = 32 * 1024
USER = {"username": "fuzzer", "password": "Fuzz3r!passw"}


@dataclass
class Report:
    """Figures, and a line for each thing that must not be."""

    seed: int
    generated: int = 0
    raw: int = 0
    accepted: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    raw_statuses: Counter[int] = field(default_factory=Counter)
    grown_kib: int = 0
    seconds: float = 0.0
    failures: dict[str, list[str]] = field(default_factory=dict)  # where, by what

    def lines(self) -> list[str]:
        return [
            f"seed {self.seed}: {self.generated} generated and {self.raw} mutated requests"
            f" in {self.seconds:.0f} s",
            f"generated: {_figures(self.statuses)}; {self.accepted} asked for a change and got it",
            f"mutated:   {_figures(self.raw_statuses)}",
            f"memory of the webapp grew by {self.grown_kib / 1024:.1f} MiB",
            *(
                f"FAILED {len(where)} times: {what}; first {where[0]}"
                for what, where in self.failures.items()
            ),
        ]


class Campaign:
    """Runs against one cluster; ``report`` fills as it goes."""

    def __init__(self, site: Integration, seed: int) -> None:
        self._site = site
        self._seed = seed
        parts = urlsplit(site.cluster.url)
        self._address = ("127.0.0.1", parts.port or 80)
        self._lines = [Line(*self._address) for _ in range(LINES)]
        self._tokens: dict[str, str] = {}
        self.report = Report(seed)

    async def run(self, generated: int, raw: int) -> Report:
        began = time.monotonic()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LINES))
        async with State(self._site) as state:
            await self._log_in()
            await self._ask([self._made(-n) for n in range(1, WARM_UP)])
            await self._mutated(range(-WARM_UP, 0))
            before = memory(self._site)
            for first in range(0, generated, BATCH):
                numbers = range(first, min(first + BATCH, generated))
                await self._batch(state, [self._made(n) for n in numbers])
            for first in range(0, raw, RAW_BATCH):
                await self._raw_batch(state, range(first, min(first + RAW_BATCH, raw)))
            await self._end(before)
        self.report.seconds = time.monotonic() - began
        return self.report

    async def one(self, number: int) -> tuple[Made, Got]:
        """A generated request alone, for whoever looks into a failure."""
        await self._log_in()
        request = self._made(number)
        return request, await self._lines[0].ask(request.raw)

    def _made(self, number: int) -> Made:
        return made(self._seed, number, self._tokens)

    async def _log_in(self) -> None:
        reply = await self._site.call("POST", "/v1/users", USER)
        assert reply.status in (201, 400), reply.body
        pair = (USER["username"], USER["password"])
        self._tokens = {
            "admin": f"Bearer {self._site.token}",
            "user": f"Bearer {await self._site.token_of(*pair)}",
        }

    # ---------------------------------------------------------------- generated requests

    async def _batch(self, state: State, requests: list[Made]) -> None:
        """What was refused is asked again, without what was accepted, until nothing is.

        So each refused request lies between two equal states.
        """
        self.report.generated += len(requests)
        first = True
        while requests:
            before = await state.read()
            answers = await self._ask(requests)
            if first:
                self.report.statuses.update(got.status for got in answers if got)
            refused = [r for r, got in zip(requests, answers, strict=True) if _refuses(r, got)]
            if first:
                self.report.accepted += len(requests) - len(refused)
            first = False
            if len(refused) == len(requests):
                await self._compare(state, before, f"generated {requests[0].number} and on")
                return
            requests = refused

    async def _ask(self, requests: Sequence[Made]) -> list[Got | None]:
        queue = list(enumerate(requests))[::-1]
        answers: list[Got | None] = [None] * len(requests)

        async def worker(line: Line) -> None:
            while queue:
                at, request = queue.pop()
                answers[at] = await self._answer(line, request)

        await asyncio.gather(*map(worker, self._lines))
        return answers

    async def _answer(self, line: Line, request: Made) -> Got | None:
        try:
            got = await line.ask(request.raw, head=request.route.method == "HEAD")
        except (OSError, HTTPException) as error:
            line.close()
            self._fail(
                f"no answer: {error!r}", f"generated {request.number}: {request.raw[:300]!r}"
            )
            return None
        try:
            _judge(request, got)
        except AssertionError as error:
            self._fail(str(error), f"generated {request.number}: {request.raw[:300]!r}")
        return got

    # ---------------------------------------------------------------- mutated requests

    async def _raw_batch(self, state: State, numbers: range) -> None:
        before = await state.read()
        self.report.raw += len(numbers)
        self.report.raw_statuses.update(await self._mutated(numbers))
        await self._compare(state, before, f"mutated {numbers.start} and on")

    async def _mutated(self, numbers: range) -> Counter[int]:
        templates = bases(self._tokens["user"])
        queue = list(numbers)[::-1]
        seen: Counter[int] = Counter()

        async def worker() -> None:
            while queue:
                number = queue.pop()
                random = Random(f"{self._seed}-raw-{number}")
                raw = mutated(random.choice(templates), random)
                statuses = await blurted(*self._address, raw)
                seen.update(statuses or [0])
                if wrong := [s for s in statuses if s >= 500 and s != 503]:
                    self._fail(f"answered {wrong}", f"mutated {number}: {raw[:300]!r}")

        await asyncio.gather(*(worker() for _ in range(RAW_AT_ONCE)))
        return seen

    # ---------------------------------------------------------------- afterwards

    async def _compare(self, state: State, before: dict[str, Any], what: str) -> None:
        after = await state.read()
        if changed := [name for name in before if before[name] != after[name]]:
            self._fail(f"changed {', '.join(changed)}", what)

    async def _end(self, before: dict[int, int]) -> None:
        after = memory(self._site)
        if set(after) != set(before):
            self._fail("a webapp ended", f"process ids {sorted(before)}, then {sorted(after)}")
            return
        self.report.grown_kib = max(after[pid] - before[pid] for pid in before)
        if self.report.grown_kib > MOST_KIB:
            self._fail("memory grew", f"by {self.report.grown_kib} KiB")
        for line in self._lines:
            line.close()
        reply = await self._site.call("GET", "/v1/users/admin")
        if reply.status != 200:
            self._fail("the administrator's token no longer works", f"status {reply.status}")

    def _fail(self, what: str, where: str) -> None:
        self.report.failures.setdefault(what, []).append(where)


def _refuses(request: Made, got: Got | None) -> bool:
    """Whether the request changed nothing by right."""
    return got is None or not request.may_change or got.status >= 400


def _judge(request: Made, got: Got) -> None:
    """AssertionError for an answer that must not be."""
    path, method = request.path, request.route.method
    assert got.status < 500 or got.status == 503, f"{method} {request.route.path}: {got.status}"
    if got.status >= 400 and request.route.method == "HEAD":
        return  # there is no body to look at
    if got.status >= 400:
        error = msgspec.json.decode(got.body)["errors"][0]
        assert error["details"], request.path
        if error["code"] == 1000 or got.status in (404, 405):
            return  # no HTTP, or no path of ours: refused before any route
    try:
        check_answer(method, path, got.status, got.headers, got.body)
    except Undocumented as error:
        raise AssertionError(str(error).partition(": ")[0]) from None


def _figures(statuses: Counter[int]) -> str:
    words = (f"{status or 'no answer'} {count}" for status, count in sorted(statuses.items()))
    return ", ".join(words)
