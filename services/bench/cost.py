"""What the machine spent: processor seconds and memory of process trees, from ``/proc``."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # from the third field (state) on; see proc_pid_stat(5)


def tree(root: int) -> list[int]:
    """List a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted, and it is asked often
        if entry.isdigit() and (fields := _stat(int(entry))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """Add up the processor time of process trees, that of children which have ended included."""
    ticks = 0
    for root in roots:
        for pid in tree(root):
            if (fields := _stat(pid)) is not None:
                ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / _TICKS


def resident_bytes(root: int) -> int:
    """Say how much memory a process tree holds."""
    return sum(int(fields[21]) * _PAGE for pid in tree(root) if (fields := _stat(pid)) is not None)
