"""A pytest plugin that runs some tests of the files that are collected, in an order."""

from collections.abc import Sequence

import pytest


class Order:
    """`tests`: node ids, or files, all of whose tests are meant."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._place = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """What was not asked for is left out."""
        placed = [(self._of(item), item) for item in items]
        left = [item for place, item in placed if place is None]
        chosen = [(place, item) for place, item in placed if place is not None]
        items[:] = [item for _, item in sorted(chosen, key=lambda each: each[0])]
        if left:
            config.hook.pytest_deselected(items=left)

    def _of(self, item: pytest.Item) -> int | None:
        place = self._place.get(item.nodeid)
        return self._place.get(item.nodeid.partition("::")[0]) if place is None else place
