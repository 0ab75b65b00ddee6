"""Fuzzes every way in and prints the table: ``python -m tests.fuzz [--inputs N] [--only ENTRY] [--seed N] [--json]``.

Each entry has a process of its own for each engine, one after the other. A process that dies or holds one input too
long counts as a crash; its input is kept, and another process goes on behind it. Exits with 1 when anything crashed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.fuzz.harness import STUCK_AFTER, Watch
from tests.fuzz.registry import NAMES, entry_named

ENGINES = ("atheris", "hypothesis")
MILLION = 1_000_000
FOLDER = Path(".muster/fuzz")
MOST_DEATHS = 5
"""Times that another process goes on behind one that died."""
COLUMNS = ("entry", "engine", "inputs", "accepted", "refused", "slowest ms", "peak MB", "grew MB", "CPU s", "crashes")


def planned(inputs: int, only: list[str]) -> Iterator[tuple[str, str, int]]:
    """Give each entry with each engine and its part of the inputs, rounded up; without atheris all by hypothesis."""
    if unknown := sorted(set(only) - set(NAMES)):
        raise SystemExit(f"--only: there is no entry {unknown[0]}; there are {', '.join(NAMES)}")
    chosen = [entry_named(name) for name in NAMES if not only or name in only]
    whole = sum(sum(entry.shares) for entry in chosen)
    for entry in chosen:
        guided, shaped = entry.shares if find_spec("atheris") else (0, sum(entry.shares))
        for engine, share in zip(ENGINES, (guided, shaped), strict=True):
            if share:
                yield entry.name, engine, -(-share * inputs // whole)


def fuzz(name: str, engine: str, inputs: int, *, seed: int) -> dict[str, Any]:
    """Give one entry its inputs by one engine, going on behind what kills a process."""
    folder = (FOLDER / f"{name}-{engine}").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    total: dict[str, Any] = {"entry": name, "engine": engine, "inputs": 0, "crashes": {}}
    began = time.monotonic()
    for life in range(MOST_DEATHS):
        (folder / "result.json").unlink(missing_ok=True)
        (folder / "watch").unlink(missing_ok=True)
        left = inputs - total["inputs"]
        death = _live(name, engine, left, seed + life, folder, total["inputs"])
        if death is None:
            _add(total, json.loads((folder / "result.json").read_text()))
            break
        number, data = death[1:]
        _add(
            total, {"inputs": max(number - total["inputs"], 1), "crashes": {death[0]: f"see {folder}/died-{life}.bin"}}
        )
        (folder / f"died-{life}.bin").write_bytes(data)
        if total["inputs"] >= inputs:
            break
    total["seconds"] = round(time.monotonic() - began, 1)
    print(f"{name} by {engine}: {total}", file=sys.stderr, flush=True)
    return total


def _live(name: str, engine: str, inputs: int, seed: int, folder: Path, first: int) -> tuple[str, int, bytes] | None:
    """Run one process to its end; say how it died, at which input and with which bytes, or None."""
    log = (folder / "log.txt").open("ab")
    command = [sys.executable, "-m", "tests.fuzz.child", name, engine, str(inputs), str(seed), str(folder), str(first)]
    child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    watch, stuck = None, False
    try:
        while child.poll() is None:
            time.sleep(0.25)
            if watch is None and (folder / "watch").is_file():
                watch = Watch(folder / "watch", 0)
            if watch is not None and (since := watch.read()[1]) and time.monotonic() - since > STUCK_AFTER:
                stuck = (folder / "result.json").is_file() is False
                child.kill()
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        log.close()
    if (folder / "result.json").is_file():
        return None
    number, _, data = watch.read() if watch is not None else (0, 0.0, b"")
    return (f"stuck for {STUCK_AFTER:.0f} s" if stuck else f"died with {child.returncode}"), number, data


def _add(total: dict[str, Any], found: dict[str, Any]) -> None:
    for name, value in found.items():
        if name == "crashes":
            total["crashes"] |= value
        elif name in {"inputs", "accepted", "refused", "cpu_s"}:
            total[name] = total.get(name, 0) + value
        else:
            total[name] = max(total.get(name, 0), value)


def show(rows: list[dict[str, Any]], seed: int) -> None:
    """Print the table and every crash."""
    console = Console(width=140 if not sys.stdout.isatty() else None, highlight=False)
    inputs, seconds = sum(row["inputs"] for row in rows), sum(row.get("cpu_s", 0) for row in rows)
    crashes = [(row["entry"], kind) for row in rows for kind in row["crashes"]]
    title = (
        f"{inputs:,} inputs in {seconds / 60:.1f} minutes of one processor, seed {seed}: {len(crashes)} kinds of crash"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for place, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if place < 2 else "right", no_wrap=True)
    for row in rows:
        grew = row.get("memory_mb", 0) - row.get("memory_at_first_mb", 0)
        cells = (row["inputs"], row.get("accepted", 0), row.get("refused", 0))
        counts = (f"{each:,}" for each in cells)
        rest = (row.get("slowest_ms", 0), row.get("memory_mb", 0), grew, row.get("cpu_s", 0), len(row["crashes"]))
        table.add_row(row["entry"], row["engine"], *counts, *(str(each) for each in rest))
    console.print(table)
    for name, kind in crashes:
        console.print(f"{name}: {kind}; see {FOLDER}/{name}", markup=False)


def main() -> int:
    """Fuzz and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzzes every way in and prints a table.")
    parser.add_argument("--inputs", type=int, default=MILLION, help="how many in all (1000000)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ENTRY", help="this entry alone; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="entries at a time (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    with ThreadPoolExecutor(asked.jobs) as jobs:
        rows = list(jobs.map(partial(fuzz, seed=asked.seed), *zip(*planned(asked.inputs, asked.only), strict=True)))
    if asked.json:
        print(json.dumps({"seed": asked.seed, "inputs": sum(row["inputs"] for row in rows), "entries": rows}, indent=2))
    else:
        show(rows, asked.seed)
    return int(any(row["crashes"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
