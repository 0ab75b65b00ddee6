"""Circles in a graph of names."""

from collections.abc import Mapping, Sequence
from itertools import dropwhile


def find_cycles(edges: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Find a circle through each knot of a graph, each beginning with its first name in the graph's order.

    Walks depth first without recursion; a name that has no edges of its own ends a walk.
    """
    done: set[str] = set()
    places = {name: place for place, name in enumerate(edges)}
    cycles: list[tuple[str, ...]] = []
    for start in edges:
        trail: dict[str, None] = {}
        waiting = [(start, 0)]
        while waiting:
            name, turn = waiting.pop()
            if turn == 0:
                if name in done or name not in edges:
                    continue
                trail[name] = None
            if turn == len(edges[name]):
                trail.popitem()
                done.add(name)
                continue
            waiting.append((name, turn + 1))
            following = edges[name][turn]
            if following in trail:
                cycles.append(_from_first(tuple(dropwhile(following.__ne__, trail)), places))
            else:
                waiting.append((following, 0))
    return list(dict.fromkeys(cycles))


def _from_first(cycle: tuple[str, ...], places: Mapping[str, int]) -> tuple[str, ...]:
    first = min(range(len(cycle)), key=lambda position: places[cycle[position]])
    return (*cycle[first:], *cycle[:first])
