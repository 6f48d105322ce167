"""Gives CPython's asyncio the names that MicroPython's has on top, for firmware under test."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def sleep_ms(ms: int) -> None:
    """MicroPython's asyncio.sleep_ms."""
    await asyncio.sleep(ms / 1000)


async def wait_for_ms(awaitable: Awaitable[T], ms: int) -> T:
    """MicroPython's asyncio.wait_for_ms."""
    return await asyncio.wait_for(awaitable, ms / 1000)


for _function in (sleep_ms, wait_for_ms):
    if not hasattr(asyncio, _function.__name__):
        setattr(asyncio, _function.__name__, _function)
