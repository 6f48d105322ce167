"""A trap: a scenario that the node passes, and a naive parser fails for a stated reason."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import naive_parser
import pytest
from modem_bench import jumping
from node.link import modem as modem_module
from node.link import registration, replies
from node.link.at import At
from node.link.modems import open_modem

HANGS_S = 3600  # virtual


class Real:
    """What the node has: its engine, and how it reads replies."""

    engine: Callable[[Any], Any] = At
    values = staticmethod(replies.fields)

    @staticmethod
    def stat(line: str) -> int | None:
        """<stat> of a +CEREG line, whether it was asked for or not."""
        found = registration.parse(line)
        return None if found is None else found[1]

    @staticmethod
    def address(line: str) -> str | None:
        """Of a +CGPADDR line."""
        values = replies.fields(line)
        return values[1] if len(values) > 1 else None


class Naive:
    """The same from naive_parser."""

    engine: Callable[[Any], Any] = naive_parser.LineAt
    values = staticmethod(naive_parser.values)
    stat = staticmethod(naive_parser.stat)

    @staticmethod
    def address(line: str) -> str | None:
        """Of a +CGPADDR line."""
        return naive_parser.values(line)[1]


class Prompting(Naive):
    """With the patch for the prompt."""

    engine = naive_parser.PromptAt


class Chunked(Naive):
    """Takes what comes at once for a whole reply."""

    engine = naive_parser.ChunkAt


Kit = type[Real] | type[Naive]
Scenario = Callable[[Any], Coroutine[Any, Any, object]]


def springs(
    scenario: Scenario,
    error: type[BaseException] | tuple[type[BaseException], ...],
    reason: str,
    naive: Any = Naive,
) -> None:
    """`scenario(Real)` passes; `scenario(naive)` ends in `error`, and its text has `reason`."""
    jumping(lambda: bounded(scenario, Real))
    with pytest.raises(error, match=re.escape(reason) or None):
        jumping(lambda: bounded(scenario, naive))


async def bounded(scenario: Scenario, kit: Any) -> None:
    """A scenario that hangs ends in RuntimeError."""
    done = False
    try:
        async with asyncio.timeout(HANGS_S):
            await scenario(kit)
            done = True
    except TimeoutError:
        if asyncio.get_running_loop().time() >= HANGS_S and not done:
            raise RuntimeError(f"not at its end after {HANGS_S} s") from None
        raise


@contextmanager
def engine_of(kit: Kit) -> Iterator[None]:
    """Drivers that are made within have the engine of `kit`."""
    before, modem_module.At = modem_module.At, kit.engine
    try:
        yield
    finally:
        modem_module.At = before


def driver(kit: Kit, family: str, uart: Any, pins: Any = None) -> Any:
    """The family's driver on `uart`, with the engine of `kit`."""
    with engine_of(kit):
        return open_modem(family, uart, pins)
