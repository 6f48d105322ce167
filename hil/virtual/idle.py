"""The idle rule: how virtual time moves while the VM waits, sleeps or boots.

Time always jumps to bytes on the wire, and to a twin's timer that is near. It jumps to a far one
(a modem's inactivity timer), the VM's own timer, the watchdog's deadline or the stimulus only
while no twin has a real socket open and nobody sits at the prompt; else it runs 1:1 with real
time, so that a real answer has its time to come before somebody's deadline. Where a rate is set,
it runs at that rate up to whatever it would have jumped to.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from hil.virtual.clock import VirtualClock

_NEAR_US = 1_000_000  # a twin's delay that models its own work, not its waiting for the network
_NEVER_US = 1 << 62
_BATCH = 64  # jumps in one go before the other boards of this loop get their turn


@dataclass(frozen=True)
class Wait:
    """What is waited for: `ready` (checked after every event), or time `until_us`."""

    until_us: int | None
    ready: Callable[[], bool]
    done: Callable[[], None]
    real: bool  # whether real sockets hold time back


class Idler:
    """Moves `clock` while a wait is on. `jump` is a pace's coroutine function, or None; `haste` is
    how much faster than real time virtual time runs while it does not jump."""

    def __init__(
        self,
        clock: VirtualClock,
        loop: asyncio.AbstractEventLoop,
        jump: Callable[[int], Coroutine[Any, Any, None]] | None,
        haste: float = 1.0,
    ) -> None:
        self.clock = clock
        self._haste = haste
        self._rate: float | None = None
        self.real_sockets = 0
        self.attended = False  # somebody sits at the prompt: their time is real
        self.on_step: Callable[[], None] = lambda: None
        self.on_wait: Callable[[bool], None] = lambda waits: None  # a wait begins, or has ended
        self._loop = loop
        self._jump = jump
        self._wait: Wait | None = None
        self._held = False
        self._stepping = False
        self._timer: asyncio.Handle | None = None
        self._pacing: asyncio.Task[None] | None = None

    def wait(self, wait: Wait) -> None:
        """Start waiting; `done` is called once, perhaps before this returns."""
        self.cancel()
        self._wait = wait
        self.on_wait(True)
        self._step()

    def cancel(self) -> None:
        """Wait for nothing any more; its `done` is not called."""
        self._wait = None
        self._pause()

    def kick(self) -> None:
        """Something outside virtual time happened: look again what comes next."""
        if self._wait is not None and not self._stepping:
            self._pause()
            self._step()

    def hold(self, held: bool) -> None:
        """Let virtual time stand still, or go on."""
        self._held = held
        if held:
            self._pause()
        else:
            self.kick()

    def set_speed(self, rate: float | None, haste: float) -> None:
        """`rate`: virtual seconds in a real one where time would jump; None: it jumps, 0: it
        stands still. `haste` as at the beginning.
        """
        self._pause()
        self._rate, self._haste = rate, haste
        self.kick()

    def _pause(self) -> None:
        self.clock.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pacing is not None:
            self._pacing.cancel()
            self._pacing = None

    def _step(self) -> None:
        self._timer = None
        if self._stepping:
            return
        self._stepping = True
        try:
            done = self._run()
        finally:
            self._stepping = False
        if done is not None:
            self.on_wait(False)
            done()

    def _run(self) -> Callable[[], None] | None:
        for _ in range(_BATCH):
            self.clock.fire_due()
            self.on_step()
            wait = self._wait
            if wait is None or self._held:
                return None
            now = self.clock.now_us
            if wait.ready() or (wait.until_us is not None and wait.until_us <= now):
                self._wait = None
                return wait.done
            target = self._next(wait)
            if target is None:
                return None
            if self._rate is not None:
                self._run_to(target, self._rate)
                return None
            if self._jump is not None:
                self._pacing = self._loop.create_task(self._paced(self._jump, target))
                return None
            self.clock.advance(target)
        self._timer = self._loop.call_soon(self._step)
        return None

    def _next(self, wait: Wait) -> int | None:
        """Where to jump now; None when real time decides."""
        clock = self.clock
        held = wait.real and (self.real_sockets > 0 or self.attended)
        wire, twin, own = (queue.head() for queue in (clock.wire, clock.twins, clock.board))
        free = [wire[0]] if wire is not None else []
        local = [wait.until_us] if wait.until_us is not None else []
        if own is not None:
            local.append(own[0])
        if twin is not None:
            near = not held or twin[0] <= clock.now_us + _NEAR_US
            (free if near else local).append(twin[0])
        if free and (not local or min(free) <= min(local)):
            return min(free)
        if held:
            self._run_to(min(local) if local else _NEVER_US, 0 if self._rate == 0 else self._haste)
            return None
        return min(local) if local else None

    def _run_to(self, limit_us: int, speed: float) -> None:
        if not speed:
            return
        self.clock.run_real(limit_us, speed)
        if limit_us < _NEVER_US:
            delay = (limit_us - self.clock.now_us) / 1_000_000 / speed
            self._timer = self._loop.call_later(delay, self._real_time_came, limit_us)

    def _real_time_came(self, limit_us: int) -> None:
        self.clock.advance(limit_us)
        self.clock.stop()
        self._step()

    async def _paced(self, jump: Callable[[int], Coroutine[Any, Any, None]], target: int) -> None:
        await jump(target)
        self._pacing = None
        self.clock.advance(target)
        self._step()
