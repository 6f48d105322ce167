"""Blocks of an update through the door by MQTT. Loaded while they are asked for."""

import asyncio
import time

from micropython import const

from node.wire import cbor

_SILENCE_MS = const(20_000)  # then nothing more comes of what was asked for


def size(modem) -> int:
    """Of a block, in bytes: on NB-IoT one that is lost is to cost little, on Cat 1 its frame."""
    try:
        return 512 if modem.RELEASE else 1024
    except AttributeError:
        return 1024  # another bearer


class Wanted:
    """Which blocks of update `number` are awaited: see node.link.door. `woken` is set when
    something came, or the connection is lost.
    """

    def __init__(self, number: int, first: int, missing: bytes, take, woken) -> None:
        self._number = number
        self._first = first
        self._missing = missing
        self._take = take
        self._woken = woken
        self._left = {
            first + i for i in range(8 * len(missing)) if missing[i >> 3] & 128 >> (i & 7)
        }
        self._word = 0  # GONE, UNKNOWN or LATER of wire/release.py

    def heard(self, payload: bytes) -> None:
        """[number, index, data], or why there is none in its place. All else is not heard."""
        try:
            number, index, data = cbor.decode(payload)  # type: ignore[misc]
        except (ValueError, TypeError):
            return
        if number != self._number or not isinstance(index, int) or index not in self._left:
            return
        if isinstance(data, bytes):
            self._left.discard(index)
            self._take(index, data)
        elif data in (1, 2, 3):
            self._word = data
        self._woken.set()

    async def ask(self, mqtt, topic: str, size: int, deadline_ms: int) -> int:
        """Ask, and listen until all came, or nothing more does."""
        until = time.ticks_add(time.ticks_ms(), deadline_ms)
        request = cbor.encode([self._number, size, self._first, self._missing])
        await mqtt.publish(topic, request, 0, deadline_ms)
        try:
            while self._left and not self._word:
                if mqtt.failure is not None:
                    raise mqtt.failure
                left = min(time.ticks_diff(until, time.ticks_ms()), _SILENCE_MS)
                self._woken.clear()
                await asyncio.wait_for_ms(self._woken.wait(), max(left, 0))
        except asyncio.TimeoutError:
            pass
        return self._word
