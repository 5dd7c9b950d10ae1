"""What a run says: a table for people, report.json for programs, throughput.svg to look at."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from tests.campaigns.chaos.campaign import Outcome
from tests.campaigns.chaos.figures import Figure, Seen, figures
from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.plot import plot


def write(lab: Lab, outcome: Outcome, out: Path | None) -> None:
    """Print the table and one line of JSON; with ``out`` also the files."""
    history = lab.history
    found = figures(Seen(history), outcome.marks, history)
    summary = _summary(lab, outcome, found)
    print(_table(outcome, found, summary))
    print(msgspec.json.encode(summary).decode())
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    whole = {"summary": summary, "marks": outcome.marks}
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(whole)))
    (out / "throughput.svg").write_text(
        plot(outcome, list(history.answered), list(history.sends.at)), encoding="utf-8"
    )


def _summary(lab: Lab, outcome: Outcome, found: list[Figure]) -> dict[str, Any]:
    history, counters = lab.history, lab.arrivals.counters
    return {
        "seed": outcome.seed,
        "seconds": round(outcome.ended - outcome.began, 1),
        "faults": len(outcome.marks),
        "messages": history.accepted,
        "received": counters["received"],
        "unique": counters["unique"],
        "repeats": counters["repeats"],
        "stale_refused": counters["stale"],
        "api_errors": len(history.errors),
        "unknown": len(history.unknown),
        "connects_retried": history.retried,
        "upstream": lab.door.name,
        "of_the_door": lab.door.told(),
        "figures": found,
        "wrong": outcome.wrong,
    }


def _table(outcome: Outcome, found: list[Figure], summary: dict[str, Any]) -> str:
    kinds = Counter(mark.kind for mark in outcome.marks)
    lines = [
        "",
        f"seed {outcome.seed}: {len(outcome.marks)} faults in {summary['seconds']:.0f} s under "
        f"{summary['messages']:,} messages",
        "",
        "  " + ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())),
        "",
        f"  {'figure, ms':<70}{'n':>8}{'p50':>8}{'p99':>8}{'max':>8}  goal",
    ]
    lines += [_line(figure) for figure in found]
    lines += [
        "",
        f"  accepted {summary['messages']:,}, received {summary['received']:,}, of these "
        f"{summary['repeats']:,} repeats dropped by id",
        f"  API errors {summary['api_errors']}, unknown {summary['unknown']}, refused connects "
        f"tried again {summary['connects_retried']}",
    ]
    lines += [
        f"  {name.replace('_', ' ')}: {said}" for name, said in summary["of_the_door"].items()
    ]
    if outcome.skipped:
        lines.append(f"  faults: not run (need root): {outcome.skipped}")
    lines += ["", "  every invariant held" if not outcome.wrong else "  WRONG:"]
    lines += [f"    {what}" for what in outcome.wrong]
    return "\n".join(lines)


def _line(f: Figure) -> str:
    met = "" if f.met is None else "met" if f.met else "MISSED"
    return f"  {f.name:<70}{f.n:>8}{f.p50:>8.0f}{f.p99:>8.0f}{f.most:>8.0f}  {f.goal} {met}"
