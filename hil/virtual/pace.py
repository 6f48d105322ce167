"""Paces: what a bench may do before a board's virtual clock jumps."""

import asyncio
from typing import Protocol


class Clocked(Protocol):
    """The part of a board that a pace sees."""

    @property
    def now_us(self) -> int: ...


class Pace(Protocol):
    """Awaited before each jump; it is cancelled and asked again when something happens before."""

    async def before_jump(self, board: Clocked, until_us: int) -> None: ...


class Rate:
    """Virtual seconds per real second: 3600 lets an hour pass in a second."""

    def __init__(self, rate: float) -> None:
        if rate <= 0:
            raise ValueError("the rate must be positive")
        self.rate = rate

    async def before_jump(self, board: Clocked, until_us: int) -> None:
        """Wait as long as the jump takes at this rate."""
        await asyncio.sleep((until_us - board.now_us) / 1_000_000 / self.rate)


class Gate:
    """Virtual clocks stand still while it is shut, e.g. while the fleet restarts."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def shut(self) -> None:
        """No jump starts from now on."""
        self._open.clear()

    def open(self) -> None:
        """Jumps go on."""
        self._open.set()

    async def before_jump(self, board: Clocked, until_us: int) -> None:
        """Wait until the gate is open."""
        await self._open.wait()
