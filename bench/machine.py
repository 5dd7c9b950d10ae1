"""What /proc says of processes: CPU seconds, wake-ups and resident memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1
_MIB = 1024  # of the KiB that /proc counts in


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK


def family_cpu_seconds(pid: int) -> float:
    """Of a process and all below it, those that ended included (PostgreSQL's backends)."""
    own, ended = 0.0, 0.0
    with suppress(OSError, IndexError):  # it ended meanwhile: its parent has its time now
        fields = _stat(pid)
        own = (int(fields[11]) + int(fields[12])) / _TICK
        ended = (int(fields[13]) + int(fields[14])) / _TICK
        return own + ended + sum(map(family_cpu_seconds, children(pid)))
    return own + ended


def busy_seconds() -> float:
    """What all processes of the machine have used so far; interrupts belong to nobody."""
    user, nice, system = Path("/proc/stat").read_text().split(maxsplit=4)[1:4]
    return (int(user) + int(nice) + int(system)) / _TICK


def idle_seconds() -> float:
    """Of all cores so far, what they waited for the disk included."""
    idle, waited = Path("/proc/stat").read_text().split(maxsplit=6)[4:6]
    return (int(idle) + int(waited)) / _TICK


def foreign_seconds() -> float:
    """CPU so far of all that this process did not start, itself left out."""
    return busy_seconds() - family_cpu_seconds(os.getpid())


def wake_ups(pid: int) -> int:
    """How often a process and all below it have slept so far: each time something woke it."""
    own = 0
    with suppress(OSError):  # it ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    own += int(line.split()[1])
        own += sum(map(wake_ups, children(pid)))
    return own


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def resident_mib(pid: int) -> float:
    """Resident memory, what is shared with others included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / _MIB, 1)
    return 0.0


def proportional_mib(pid: int) -> float:
    """Resident memory with shared pages divided among those who share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / _MIB, 1)
    return 0.0


def per_message_us(
    before: Mapping[str, float], after: Mapping[str, float], messages: int
) -> dict[str, float]:
    """Microseconds of CPU for each message, by process."""
    if messages == 0:
        return {}
    return {name: round((after[name] - before[name]) / messages * 1e6, 1) for name in before}


def description() -> str:
    """The processor, its count, and the kernel."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return f"{len(models)} x {_first(models)}, {memory} GiB, Linux {os.uname().release}"


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _first(names: Iterable[str]) -> str:
    return next(iter(names), "unknown processor")
