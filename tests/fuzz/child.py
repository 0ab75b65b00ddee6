"""One process that gives one entry its inputs: ``python -m tests.fuzz.child ENTRY ENGINE INPUTS SEED FOLDER``.

It writes ``result.json`` when it is done; until then, and if it dies, the input in hand is in ``watch``.
"""

import json
import os
import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from services.platform.logs import configure_logging
from tests.fuzz.harness import Entry, Tally, Watch
from tests.fuzz.registry import entry_named

ROOM = 6 << 30
"""Bytes of address space that an entry may have: Postgres and typst map much that they never use."""
BATCH = 2_000
"""Inputs after which hypothesis begins again with another seed: it keeps what it has tried in memory."""
MOST_KEPT = 20
"""Crashes of different kinds whose inputs are kept."""


def memory() -> int:
    """Give the most memory this process has had so far, in MiB; its own, where rusage begins with its parent's."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) >> 10


def finish(tally: Tally, folder: Path, at_first: int) -> None:
    """Write what came of it."""
    for number, (kind, (said, data)) in enumerate(list(tally.crashes.items())[:MOST_KEPT]):
        (folder / f"crash-{tally.first}-{number}.bin").write_bytes(data)
        (folder / f"crash-{tally.first}-{number}.txt").write_text(f"{kind}\n{said}\n", "utf-8", "backslashreplace")
    (folder / "slowest.bin").write_bytes(tally.slowest_input)
    told = tally.told() | {
        "memory_mb": memory(),
        "memory_at_first_mb": at_first,
        "cpu_s": round(time.process_time(), 1),
    }
    (folder / "result.json").write_text(json.dumps(told))
    (folder / "reasons.txt").write_text(
        "\n".join(f"{n:8} {kind}" for kind, n in tally.reasons.most_common()), "utf-8", "backslashreplace"
    )


def by_atheris(entry: Entry, tally: Tally, inputs: int, seed: int, folder: Path, atheris: Any) -> None:
    """Let atheris (libFuzzer) mutate what it has seen towards code that was not run before; doesn't return."""
    corpus = Path(tempfile.mkdtemp(dir=folder))
    for number, data in enumerate(entry.seeds()):
        (corpus / f"{number:04}").write_bytes(data[: entry.longest])
    words = folder / "words.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in entry.words if word))
    for data in entry.seeds():
        tally(data)
    at_first = memory()

    def one(data: bytes) -> None:
        tally(data)
        if tally.inputs >= inputs:
            finish(tally, folder, at_first)
            os._exit(0)

    options = [
        "-rss_limit_mb=0",
        "-timeout=100000",
        f"-artifact_prefix={folder}/",
        f"-seed={seed}",
        f"-max_len={entry.longest}",
        *([f"-dict={words}"] if entry.words else []),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(
        f"\\x{byte:02x}" if not 32 < byte < 127 or byte in b'"\\' else chr(byte) for byte in word.encode()[:60]
    )


def by_hypothesis(entry: Entry, tally: Tally, inputs: int, seed: int) -> None:
    """Let hypothesis make inputs of the entry's own shape."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    shaped, chance = entry.shaped(), random.Random(seed)
    wanted = tally.inputs + inputs
    while tally.inputs < wanted:

        @settings(
            max_examples=min(BATCH, wanted - tally.inputs),
            database=None,
            phases=[Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @seeded(chance.getrandbits(32))
        @given(shaped)
        def give(data: bytes) -> None:
            tally(data)

        give()


def main(arguments: list[str]) -> None:
    """Give one entry its inputs."""
    name, engine, inputs, seed, folder, first = (
        *arguments[:2],
        int(arguments[2]),
        int(arguments[3]),
        Path(arguments[4]),
        int(arguments[5]),
    )
    warnings.simplefilter("ignore")
    configure_logging(level="warning")
    atheris: Any = None
    if engine == "atheris":
        import atheris as found

        atheris = found
        with atheris.instrument_imports(include=["schemas", "services"], enable_loader_override=False):
            entry = entry_named(name)
    else:
        entry = entry_named(name)
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    with entry.opened() as target:
        tally = Tally(target, Watch(folder / "watch", entry.longest), first=first)
        if atheris is not None:
            by_atheris(entry, tally, inputs, seed, folder, atheris)
        at_first = memory()
        by_hypothesis(entry, tally, inputs, seed)
        finish(tally, folder, at_first)


if __name__ == "__main__":
    main(sys.argv[1:])
