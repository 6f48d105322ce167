"""Pulses of one contact on a chip without ULP (ESP32-C3): an interrupt counts them while it is
awake, and a change of the contact ends deep sleep.
"""

import time

import machine
from micropython import const

_BOUNCE_MS = const(20)


class PulseInput:
    """The count lies in RTC memory at every pulse: `cnt` of `state` is [mark, pulses, contact]."""

    def __init__(self, config: dict, state) -> None:
        pins = config["pins"]
        self._pin = machine.Pin(pins["pulse"], machine.Pin.IN, machine.Pin.PULL_DOWN)
        self._state = state
        self._moved = time.ticks_ms()
        self._pin.irq(self._edge, machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)
        from node.sense import gpiowake

        kept = state.get("cnt")
        # The edge that woke the chip came before this, and its contact may be open again. Where a
        # button can have woken it too nobody can tell: then a contact that is open is no pulse.
        woken = machine.wake_reason() == gpiowake.GPIO_WAKE and "button" not in pins
        if kept and not kept[2] and (woken or self._pin.value()):
            self._count(kept, self._pin.value())

    def alive(self, mark: int) -> bool:
        """Whether it has counted since the start that got this mark."""
        kept = self._state.get("cnt")
        return kept is not None and kept[0] == mark

    def fits(self) -> bool:
        """There is but one way."""
        return True

    def read(self) -> "list[int]":
        """Pulses modulo 65536; none backwards, and no magnet is told from a wheel at rest."""
        return [self._state.get("cnt")[1], 0, 0]

    def place(self) -> int:
        """Whether the contact was closed, as Reeds.place."""
        return 4 << 4 | self._state.get("cnt")[2]

    def start(self, mark: int, place: int) -> None:
        """Count from 0; a contact that has closed since `place` is a pulse."""
        closed = self._pin.value()
        fresh = 1 if not place & 257 and closed else 0
        self._keep([mark, fresh, closed])

    def arm(self, pulses: int) -> list:
        """The pin whose going high ends deep sleep; none while a closed contact must open."""
        self._look()
        if self._state.get("cnt")[2]:
            # As it is now: a contact puts it away, and what arms the others loads it anew.
            from node.sense import gpiowake

            gpiowake.open(self._pin)
            return []
        return [self._pin]

    def _edge(self, _pin) -> None:
        if time.ticks_diff(time.ticks_ms(), self._moved) >= _BOUNCE_MS:
            self._look()

    def _look(self) -> None:
        kept = self._state.get("cnt")
        closed = self._pin.value()
        if kept and kept[2] != closed:
            self._moved = time.ticks_ms()
            self._count(kept, closed)

    def _count(self, kept: list, closed: int) -> None:
        self._keep([kept[0], kept[1] + 1 - kept[2] & 0xFFFF, closed])

    def _keep(self, kept: list) -> None:
        self._state.set("cnt", kept)
        self._state.save()
