"""Composition of the application, and what lies between two wakes: deep sleep or idling."""

import asyncio
import gc
import os

import esp32
import machine
from micropython import const

from node import clock, config
from node.cycle import Cycle
from node.modules import forget
from node.roles import Role
from node.store.lazy import LazyJournal
from node.store.rtcstate import RtcState

_AT_ONCE = const(2)  # of RTC `urgent`: cycle.py
_NOT_CONFIRMED = const(3)  # wire/release.py
_CRASHES = const(3)  # so many lives in a row that ended before their sleep


def _epoch() -> int:
    return int.from_bytes(os.urandom(4), "big")


def chosen() -> str:
    # "good", or what is on trial (node/update/slots.py); read at each wake.
    try:
        with open("/slot") as file:
            return file.read().split()[2]
    except (OSError, IndexError):
        return "good"


class App:
    """One life between a boot and a deep sleep."""

    def __init__(self) -> None:
        self.config = config.load()
        self._wdt = machine.WDT(timeout=self.config["awake_s"] * 1000)
        self.state = RtcState(machine.RTC().memory)
        kept = self.state.load()
        if self.state.get("lvl", -1) < 0:
            self.state.set("lvl", self.config.get("log_level", 1))
        if machine.reset_cause() != machine.DEEPSLEEP_RESET:
            from node import health

            health.booted(self.state, kept)
            forget("node.health node.log node.events")
            self.state.save()  # a hang in this life is counted by the next, even after a cold boot
        if self.state.get("crn", 0) >= _CRASHES and config.on_trial():
            self._take_back()
        self.journal = LazyJournal("/journal", self.state, _epoch)
        self.role = Role(self.state, self.journal)
        self.cycle = Cycle(
            self.config, self.state, self.journal, self.role, self._link, self._voucher()
        )
        if chosen() in ("trial", "runtime"):
            self.cycle.on_trial = True
            self.state.set("urgent", _AT_ONCE)  # each contact is tried again within 8 h (retry.py)

    def _take_back(self) -> None:
        # Lives end so early that no contact judges the configuration on trial: it is at fault.
        from node import configure

        try:
            number = configure.give_up()
        except OSError:
            return  # NVS is full: later perhaps
        for key, value in (("crn", 0), ("lvl", -1), ("items", None), ("back", number)):
            self.state.set(key, value)
        self.state.save()
        machine.reset()

    def _voucher(self):
        # The claim id of a node that has no identity yet.
        held = config.voucher()
        if held is not None:
            from node import claim

            held = claim.standing(held)
            forget("node.claim")
        return held

    def _link(self):
        from node.link.session import Session

        return Session(self.config, self.state)

    async def run(self) -> None:
        """A battery node: one wake, then deep sleep. A mains node: wakes without end."""
        reason = machine.wake_reason()
        if reason > machine.ULP_WAKE:  # a pin of a chip that has no EXT0 and EXT1
            from node.sense import gpiowake

            reason = gpiowake.reason(self.config["pins"])
        # No part of the role stays in a variable here: that would keep it in the heap.
        if reason == machine.EXT1_WAKE and hasattr(self.role, "caller") and self.role.caller():
            reason = machine.TIMER_WAKE  # it was not the button: what called decides what is told
        if self.role.mains:
            from node.heartbeats import Heartbeats

            self._beats = Heartbeats()
            if hasattr(self.role, "start"):
                self.role.start(self._beats)
        while True:
            await self.cycle.run(reason)
            until = self.cycle.next_wake()
            self.journal.put_away()
            if self.state.get("evd"):
                from node import events

                events.keep(self.state)
                forget("node.events")
            self.state.save()
            if self.cycle.reboot:
                machine.reset()
            if not self.role.mains:
                if chosen() == "runtime":
                    self._unproved()
                self._sleep(until)
            if self.cycle.reconfigured:
                machine.reset()
            gc.collect()
            self.cycle.energy.rest()
            await self._idle(until)
            reason = machine.TIMER_WAKE

    def _unproved(self) -> None:
        # A new runtime that the fleet has not heard of must not sleep: it has this life only.
        from node.update import slots

        try:
            if not slots.give_up(_NOT_CONFIRMED):
                return  # one that went back; the pointer could not be written since
        except OSError:
            pass  # the one before does not boot: the supervisor decides
        machine.reset()

    def _sleep(self, until: "int | None") -> None:
        callers = self.role.arm() or []
        self.cycle.energy.rest()
        button = self.config["pins"].get("button")
        if button is not None:
            pin = machine.Pin(button, machine.Pin.IN, machine.Pin.PULL_DOWN)
            if not pin.value():  # one that is held would end the sleep at once
                callers.append(pin)
        if callers and hasattr(esp32, "wake_on_ext1"):
            esp32.wake_on_ext1(tuple(callers), esp32.WAKEUP_ANY_HIGH)
        elif callers:
            from node.sense import gpiowake

            for pin in callers:
                gpiowake.add(pin)
        self.state.save()
        if until is None:
            machine.deepsleep()
        else:
            machine.deepsleep(max(clock.until_ms(until), 10))

    async def _idle(self, until: "int | None") -> None:
        # Only here is the watchdog fed: a wake that does not end is bitten, however busy it looks.
        self._feed()
        longest = self.config["awake_s"] * 500  # half of the watchdog's time, in ms
        while until is None or clock.until_ms(until) > 0:
            left = longest if until is None else clock.until_ms(until)
            await asyncio.sleep_ms(min(left, longest))
            self._feed()

    def _feed(self) -> None:
        # Unless one of the role's tasks is silent: then the watchdog's reset mends it, and the
        # next boot reports which one it was.
        name = self._beats.silent()
        if name is None:
            self._wdt.feed()
        else:
            self.state.set("mute", name.encode())
            self.state.save()
