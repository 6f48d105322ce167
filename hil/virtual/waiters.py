"""Waiting until something is true of a board."""

import asyncio
from collections.abc import Callable


class Waiters:
    """Predicates that are looked at whenever the board does something."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._failure: Exception | None = None

    def check(self) -> bool:
        """Look at all of them; whether one has come true and nobody has taken notice yet."""
        came = False
        for predicate, future in self._waiting:
            if not future.done():
                try:
                    true = predicate()
                except Exception as e:
                    future.set_exception(e)
                    true = False
                if true:
                    future.set_result(None)
            came = came or future.done()
        return came

    def fail(self, error: Exception) -> None:
        """The board cannot go on: everybody who waits, or will, gets `error`."""
        self._failure = error
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(error)

    def raise_failure(self) -> None:
        """Raise what `fail` was told."""
        if self._failure is not None:
            raise self._failure

    async def wait(
        self, predicate: Callable[[], bool], timeout_s: float, begin: Callable[[], None]
    ) -> None:
        """Until `predicate` is true; TimeoutError after `timeout_s` of real time. `begin` lets the
        board go on, once somebody looks where it gets.
        """
        self.raise_failure()
        item = (predicate, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        try:
            if not self.check():
                begin()
            async with asyncio.timeout(timeout_s):
                await item[1]
        finally:
            self._waiting.remove(item)
