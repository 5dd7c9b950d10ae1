"""The figures of bench.idle as tables for people. Pure, but for the printing."""

from __future__ import annotations

from typing import Any

from bench.e2e.rounds import FOREIGN_CORES
from bench.e2e.site import Found, say
from bench.e2e.turns import Turns
from bench.report.results import at

SIDES = ("this", "base", "plain")
FOREIGN = "foreign_cores"
KINDS = ("product", "coreapp", "webapp", "master", "server", "postgres")


def show(figures: Found) -> None:
    """A column a side."""
    names = [name for name in SIDES if name in figures]
    say("")
    say(f"{'':<34}{''.join(f'{name:>12}' for name in names)}")
    for title, path in rows(figures[names[0]]):
        cells = [at(figures[name], *path) for name in names]
        if any(cell is not None for cell in cells):
            say(f"{title:<34}{''.join(f'{_text(cell):>12}' for cell in cells)}")
    for other, ratios in figures["cpu_vs"].items():
        words = ", ".join(f"{ratio:.3g} at {rate}/s" for rate, ratio in ratios.items())
        say(f"CPU of a message, {other} by this: {words}")
    if max(_foreign(figures[name]) for name in names) > FOREIGN_CORES:
        say(f"others used more than {FOREIGN_CORES} cores: only ratios and CPU say something")
    say("")


def _foreign(found: Found) -> float:
    return float(max(found[FOREIGN].values()))


def ratios(found: Turns) -> dict[str, dict[str, float]]:
    """By how much more CPU a message costs the other sides, by rate."""
    of = {side: found.ratios(side, "this").get("cpu_ms", {}) for side in SIDES[1:]}
    return {side: {r: one["product"] for r, one in cpu.items()} for side, cpu in of.items() if cpu}


def rows(found: Found) -> list[tuple[str, tuple[str, ...]]]:
    """Each with the way to its figure."""
    lines = [
        *((f"at rest, % of a core: {kind}", ("idle_percent", kind)) for kind in KINDS),
        ("at rest, transactions/s", ("idle_transactions",)),
        *((f"at rest, wake-ups/s: {kind}", ("idle_wake_ups", kind)) for kind in KINDS),
    ]
    for rate in found["cpu_ms"]:
        lines += [(f"{rate}/s, CPU ms: {kind}", ("cpu_ms", rate, kind)) for kind in KINDS]
        lines += [(f"{rate}/s, 201 ms {p}", ("accepted_ms", rate, p)) for p in ("p50", "p99")]
        lines += [(f"{rate}/s, callback ms {p}", ("callback_ms", rate, p)) for p in ("p50", "p99")]
        lines += [
            (f"{rate}/s, transactions a message", ("transactions", rate)),
            (f"{rate}/s, POSTs a message", ("posts", rate)),
            (f"{rate}/s, wake-ups a message", ("wake_ups", rate, "product")),
            (f"{rate}/s, requests late ms p99", ("late_ms", rate)),
            (f"{rate}/s, messages/s", ("per_s", rate)),
        ]
    lines += [(f"MiB: {name}", ("rss_mib", name)) for name in found["rss_mib"]]
    lines += [(f"{when}: others used, cores", ("foreign_cores", when)) for when in found[FOREIGN]]
    return lines


def rounded(value: Any) -> Any:
    """With four digits, through all levels."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"
