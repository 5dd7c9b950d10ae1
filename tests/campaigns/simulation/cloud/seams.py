"""The product's spans of time and its ends, as a run with the Cloud API needs them.

Requests, fences and windows are a few times shorter than at work, and in the same proportions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.campaigns.simulation.cloud import graph
from tests.harness.patch import patched
from warouter import cloud_settings
from warouter.cloud_number import NumberCloud
from warouter.cluster import quiesce
from warouter.config import Settings
from warouter.flow import windows
from warouter.flow.windows import Wait
from warouter.node import end_cloud
from warouter.owner import beats
from warouter.owner.cloud import acks, drain, issuer
from warouter.owner.cloud.facts import templates
from warouter.owner.cloud.rate import brake, number_share, pace, stop
from warouter.owner.commit import Gather
from warouter.upstream.cloud.secrets import Secrets

WINDOW_OF_FENCE = 60.0 / 35.0 * 1.1  # the base, so that the shortest window is above the fence

_SEAMS: tuple[tuple[Any, str, tuple[Any, ...]], ...] = (
    (drain, "ROWS", (1, 2, 5)),
    (acks, "FLUSH_SECONDS", (0.001, 0.5)),
    (drain, "REST_SECONDS", (0.1, 2.0)),
    (issuer, "MAX_ROWS", (1, 2)),
    (issuer, "GATHER", (Gather(seconds=0.0, rows=1),)),
)
_SHARE = 0.3


class Spans(NamedTuple):
    """Seconds: how long a request may take, a process may stand still, a message is in doubt."""

    request: float
    watchdog: float
    base: float

    @classmethod
    def drawn(cls, random: Random, lease: float) -> Spans:
        request, watchdog = random.choice((1.5, 3.0)), lease * random.uniform(1.05, 1.5)
        return cls(request, watchdog, (lease + request + watchdog) * WINDOW_OF_FENCE)


def _token_of_its_process(_secrets: Secrets, _of: NumberCloud) -> bytes:
    """By its hash; not all processes have the same."""
    process: Any = asyncio.get_running_loop()
    token: str = graph.Graph.meta.token_of(process.process)
    return token.encode()


_proven = pace.Pace.proven


def _proven_in_its_process(self: pace.Pace, request: tuple[bytes, int]) -> None:
    process: Any = asyncio.get_running_loop()
    graph.Graph.meta.history.learns(process.process, request)
    _proven(self, request)


@contextmanager
def drawn(random: Random, spans: Spans, *, small: bool, held: float) -> Iterator[None]:
    """Within, the product has these spans; ``held`` is the wait for what Meta may hold back."""
    timing = Settings.timing

    def watched(self: Settings) -> Any:
        return msgspec.structs.replace(timing.fget(self), watchdog=spans.watchdog)

    chosen = [
        (module, name, random.choice(values))
        for module, name, values in _SEAMS
        if random.random() < _SHARE and small
    ]
    if small:  # else a run takes minutes until its last doubt ends
        chosen.append((windows, "BLIND_FACTOR", random.choice((1.5, 3.0))))
    quiet = spans.request + 1.0
    waits = Random(random.getrandbits(64))
    chosen += [
        (Settings, "timing", property(watched)),
        (cloud_settings, "REQUEST_SECONDS", spans.request),
        (windows, "_ENDS", windows._ENDS | {Wait.HELD: held}),
        (quiesce, "QUIET_SECONDS", quiet),
        (beats, "QUIET_SECONDS", quiet),
        (beats, "QUIET_LEAVE_SECONDS", quiet + 1.0),
        (stop, "PROBE_SECONDS", 2.0),
        (number_share, "REST_SECONDS", 2.0),
        (templates, "READ_AGAIN_SECONDS", 2.0),
        (pace, "random", waits),
        (brake, "UNCLEAR_SECONDS", (0.2, 0.5)),
        (pace.Pace, "proven", _proven_in_its_process),
        (Secrets, "token_hash", _token_of_its_process),
        (end_cloud, "GraphExchange", graph.Graph),
        (end_cloud, "NumberCalls", graph.Number),
        (end_cloud, "App", graph.App),
    ]
    with patched(chosen):
        yield
