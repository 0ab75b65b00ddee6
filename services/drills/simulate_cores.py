"""Playing the runs of a study on several cores: each depends on its seed alone, so only the time changes."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from services.drills.simulate_study import Played, Player, Stage

CHUNK = 25
"""Runs that a process takes on at once."""
PROCESSES = 8
"""At most; never more than there are cores."""


@contextmanager
def on_all_cores(
    stage: Stage, *, parallel: bool, progressed: Callable[[int], object] = lambda _: None
) -> Iterator[Player]:
    """Give a player for a stage; ``progressed`` is told how many runs were played since it was last told.

    Processes are forked, and only from Linux: what they need, compiled conditions among it, they have in memory.
    """
    _shared.stage = stage
    with ExitStack() as stack:
        pool = None
        if parallel and sys.platform == "linux":
            processes = min(PROCESSES, len(os.sched_getaffinity(0)))
            pool = stack.enter_context(multiprocessing.get_context("fork").Pool(processes))

        def play_all(seeds: Sequence[int]) -> Iterator[Played]:
            chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
            for played in pool.imap(_play_chunk, chunks) if pool else map(_play_chunk, chunks):
                progressed(len(played))
                yield from played

        yield play_all


class _Shared:
    """What forked workers find in memory."""

    stage: Stage


_shared = _Shared()


def _play_chunk(seeds: Sequence[int]) -> list[Played]:
    return [_shared.stage.play(seed) for seed in seeds]
