"""Which place each test runs at: decided before the first test, alike in every worker.

Tests of one module and node type stay together, so that a node is set up once for them.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from hil.inventory import Place


class Ask(NamedTuple):
    """One test: its module, the node type that it wants, what it needs of the place."""

    module: str
    node: str
    needs: frozenset[str]


def lacking(ask: Ask, places: Iterable[Place]) -> str | None:
    """Why no place serves, in one line; None where one does."""
    carrying = [place for place in places if ask.node in place.nodes]
    if not carrying:
        return f"no place of this rig can be a {ask.node}"
    if any(ask.needs <= place.features for place in carrying):
        return None
    best = min(carrying, key=lambda place: len(ask.needs - place.features))
    missing = ", ".join(sorted(ask.needs - best.features))
    return f"no place of this rig for a {ask.node} has {missing}"


def assign(asks: list[Ask], places: list[Place], workers: int) -> list[str | None]:
    """The place of each test, in their order; None where none serves.

    A node type gets as many places as there are `workers`, no more: each place costs a start.
    """
    spread = _Spread(places, workers)
    found: list[str | None] = [None] * len(asks)
    # The largest first, each to the place with the least: near enough to even.
    for tests in sorted(_groups(asks), key=lambda tests: (-len(tests), asks[tests[0]].module)):
        node = asks[tests[0]].node
        together = frozenset().union(*(asks[n].needs for n in tests))
        if spread.serving(node, together):
            place = spread.take(node, together, len(tests))
            found = [place if n in tests else each for n, each in enumerate(found)]
            continue
        for n in tests:
            if spread.serving(node, asks[n].needs):
                found[n] = spread.take(node, asks[n].needs, 1)
    return found


def _groups(asks: list[Ask]) -> list[list[int]]:
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for n, ask in enumerate(asks):
        groups[ask.module, ask.node].append(n)
    return list(groups.values())


class _Spread:
    """Tests given to each place so far, and the places that each node type has opened."""

    def __init__(self, places: list[Place], workers: int) -> None:
        self._places = places
        self._workers = workers
        self._load = {place.name: 0 for place in places}
        self._opened: dict[str, set[str]] = defaultdict(set)

    def serving(self, node: str, needs: frozenset[str]) -> list[str]:
        """Places for such a test, in the file's order."""
        return [
            each.name for each in self._places if node in each.nodes and needs <= each.features
        ]

    def take(self, node: str, needs: frozenset[str], tests: int) -> str:
        """The one of them that shall have these tests."""
        names, opened = self.serving(node, needs), self._opened[node]
        if len(opened) >= self._workers:
            names = [name for name in names if name in opened] or names
        name = min(names, key=self._load.__getitem__)
        opened.add(name)
        self._load[name] += tests
        return name
