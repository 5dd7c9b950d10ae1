"""The tables of bench.idle: what a message costs, and where that goes. Pure."""

from __future__ import annotations

from bench.report.form import NONE, number, pair, table
from bench.report.results import Figures, at

FULL = "full"
KINDS = {
    "coreapp": "coreapps",
    "webapp": "webapp",
    "master": "masters",
    "postgres": "PostgreSQL",
}
KEPT_UP = 0.97  # of a rate; what takes less of it is not at that rate


def rates(side: Figures) -> list[str]:
    """In the order of the run: ascending, then full load."""
    return list(side.get("cpu_ms", ()))


def cost(idle: Figures) -> str:
    """A row for each rate."""
    this, plain = idle.get("this", {}), idle.get("plain", {})
    head = (
        "load",
        "cores in use",
        "CPU of a message, ms",
        "the smallest server, ms",
        "by warouter's",
        "201, p50 / p99 ms",
        "callback, p50 / p99 ms",
    )
    rest = ("at rest", number(_cores_at_rest(this)), NONE, NONE, NONE, NONE, NONE)
    ratios = at(idle, "cpu_vs", "plain") or {}
    return table(head, [rest, *(_row(this, plain, rate, ratios.get(rate)) for rate in rates(this))])


def _row(this: Figures, plain: Figures, rate: str, ratio: float | None) -> tuple[str, ...]:
    ours, theirs = at(this, "cpu_ms", rate, "product"), at(plain, "cpu_ms", rate, "product")
    times = (at(this, "accepted_ms", rate, p) for p in ("p50", "p99"))
    delays = (at(this, "callback_ms", rate, p) for p in ("p50", "p99"))
    return (
        f"{named(this, rate)}/s{_beyond(this, rate)}",
        number(ours * at(this, "per_s", rate) / 1000),
        number(ours),
        f"{number(theirs)}{_beyond(plain, rate, even_full=True)}",
        number(ratio),
        pair(*times),
        pair(*delays),
    )


def named(side: Figures, rate: str) -> str:
    """The rate in figures; full load is what it was."""
    if rate != FULL:
        return f"{int(rate):,}"
    return f"full load, {at(side, 'per_s', FULL):,.0f}"


def _cores_at_rest(side: Figures) -> float | None:
    percent = at(side, "idle_percent", "product")
    return None if percent is None else percent / 100


def _beyond(side: Figures, rate: str, *, even_full: bool = False) -> str:
    """A note where it does not keep up, or of what its full load is."""
    per_s = at(side, "per_s", rate)
    kept = not even_full if rate == FULL else per_s is None or per_s >= KEPT_UP * int(rate)
    if kept or per_s is None:
        return ""
    return f" (at {per_s:,.0f}/s)"


def parts(idle: Figures) -> str:
    """What each kind of process takes, and how often something is done for a message."""
    this = idle.get("this", {})
    columns = rates(this)
    head = ("", "at rest", *(f"{named(this, rate)}/s" for rate in columns))
    rows = [
        (
            f"{name}, ms a message; at rest % of a core",
            number(at(this, "idle_percent", kind)),
            *(number(at(this, "cpu_ms", rate, kind)) for rate in columns),
        )
        for kind, name in KINDS.items()
    ]
    for what, title in (
        ("transactions", "transactions a message; at rest a second"),
        ("posts", "POSTs to the webhook a message"),
    ):
        rest = number(at(this, "idle_transactions")) if what == "transactions" else NONE
        rows.append((title, rest, *(number(at(this, what, rate)) for rate in columns)))
    wakes = (number(at(this, "wake_ups", rate, "product")) for rate in columns)
    rest = number(at(this, "idle_wake_ups", "product"))
    return table(head, [*rows, ("wake-ups a message; at rest a second", rest, *wakes)])


def memory(idle: Figures) -> str:
    """MiB of a process of each kind, the greatest."""
    found: dict[str, float] = {}
    for name, mib in at(idle, "this", "rss_mib").items():
        kind = name.partition("-")[0]
        found[kind] = max(mib, found.get(kind, 0.0))
    return table(("process", "MiB"), [(f"a {kind}", number(mib)) for kind, mib in found.items()])
