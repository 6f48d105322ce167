"""Power saving as the network grants it: PSM by T3324 and T3412, and eDRX. The timers really run.

3GPP TS 23.682 clause 4.5.4 (PSM) and TS 24.008 10.5.5.32 (eDRX).
"""

from collections.abc import Callable
from dataclasses import dataclass

from hil.virtual.modem import periods
from hil.virtual.modem.delays import Alarm
from hil.virtual.twin import UartPort

OFF_BITS = "11100000"  # unit 7: deactivated
DRX_S = 2.56


@dataclass(frozen=True)
class Grants:
    """What the network makes of a wish: None takes the wish, in the network's own encoding."""

    psm: bool = True
    tau_s: int | None = None
    active_s: int | None = None
    edrx: bool = True
    cycle_bits: str | None = None
    window_bits: str = "0011"


@dataclass(frozen=True)
class SavingHooks:
    """What power saving asks of the modem."""

    registered: Callable[[], bool]
    idle_at_us: Callable[[], int]  # when the RRC connection ends or ended
    update: Callable[[], int | None]  # makes a TAU; when it ends
    granted: Callable[[], None]  # the network's answer is there
    psm: Callable[[bool], None]  # entered or left


class Saving:
    """Wishes are told to the network with the next attach or by a TAU; the grant comes with it."""

    def __init__(self, port: UartPort, grants: Grants, hooks: SavingHooks) -> None:
        self._port = port
        self._grants = grants
        self._hooks = hooks
        self._timer = Alarm(port)  # T3324, or T3412 while in PSM
        self._answer = Alarm(port)
        self.psm_wish: tuple[str, str] | None = None  # T3412 extended, T3324
        self.edrx_wish: str | None = None  # cycle
        self.psm_granted: tuple[str, str] | None = None
        self.edrx_granted: tuple[str, str] | None = None  # cycle, paging time window
        self.in_psm = False
        self.updates = 0

    # -- for the families -----------------------------------------------------------------------

    def request_psm(self, tau_bits: str, active_bits: str) -> None:
        """Eight bits each (TS 24.008 10.5.7.4a and 10.5.7.3); ValueError for other texts."""
        if not (periods.is_bits(tau_bits, 8) and periods.is_bits(active_bits, 8)):
            raise ValueError("T3412 and T3324 are texts of eight bits")
        self.psm_wish = (tau_bits, active_bits)
        self._tell()

    def psm_off(self) -> None:
        """No PSM from now on."""
        self.psm_wish = None
        self._tell()

    def request_edrx(self, cycle_bits: str) -> None:
        """Four bits (TS 24.008 10.5.5.32); ValueError for other texts."""
        if not periods.is_bits(cycle_bits, 4):
            raise ValueError("an eDRX cycle is a text of four bits")
        self.edrx_wish = cycle_bits
        self._tell()

    def edrx_off(self) -> None:
        """Ordinary paging from now on."""
        self.edrx_wish = None
        self._tell()

    # -- for the modem --------------------------------------------------------------------------

    def accept(self) -> None:
        """Attach or TAU accept: the grants."""
        self.psm_granted = self._grant_psm()
        self.edrx_granted = None
        if self.edrx_wish is not None and self._grants.edrx:
            cycle = self._grants.cycle_bits or self.edrx_wish
            self.edrx_granted = (cycle, self._grants.window_bits)
        self._hooks.granted()
        self.moved()

    def change(self, grants: Grants) -> None:
        """What the network makes of wishes, from the next attach or TAU on."""
        self._grants = grants

    @property
    def grants(self) -> Grants:
        """As they are now."""
        return self._grants

    def forget(self) -> None:
        """Off, or deregistered: no grant holds any more."""
        self._timer.cancel()
        self._answer.cancel()
        self.psm_granted = self.edrx_granted = None
        self.in_psm = False

    def moved(self) -> None:
        """The RRC connection's end moved: T3324 starts there."""
        if self.in_psm or self.psm_granted is None or self._timer.on:
            return
        if self._hooks.registered():
            self._timer.set(self._psm_at_us(), self._maybe_enter)

    def leave(self) -> None:
        """The modem has something to send."""
        if self.in_psm:
            self.in_psm = False
            self._timer.cancel()
            self._hooks.psm(False)

    def reachable_us(self) -> int | None:
        """When the network can page next: None in PSM, else within the DRX or eDRX cycle."""
        if self.in_psm:
            return None
        now = self._port.now()
        drx_us = int(DRX_S * 1_000_000)
        if self.edrx_granted is not None:
            cycle_us = int(periods.cycle_s(self.edrx_granted[0]) * 1_000_000)
            window_us = int(periods.window_s(self.edrx_granted[1]) * 1_000_000)
            into = now % cycle_us
            if into + drx_us > window_us:
                return now + cycle_us - into
        return now + drx_us - now % drx_us

    def paging_share(self) -> float | None:
        """Share of the time in which it listens for pages, None without eDRX."""
        if self.edrx_granted is None:
            return None
        cycle_bits, window_bits = self.edrx_granted
        return min(1.0, periods.window_s(window_bits) / periods.cycle_s(cycle_bits))

    def _grant_psm(self) -> tuple[str, str] | None:
        if self.psm_wish is None or not self._grants.psm:
            return None
        tau_s, active_s = periods.t3412_s(self.psm_wish[0]), periods.t3324_s(self.psm_wish[1])
        if active_s is None:
            return None
        if self._grants.active_s is not None:
            active_s = self._grants.active_s
        if self._grants.tau_s is not None:
            tau_s = self._grants.tau_s
        tau_bits = OFF_BITS if tau_s is None else periods.t3412_bits(tau_s)
        return tau_bits, periods.t3324_bits(active_s)

    def _tell(self) -> None:
        if not self._hooks.registered() or self._answer.on:
            return
        end_us = self._hooks.update()
        if end_us is not None:
            self._answer.set(end_us, self._answered)

    def _answered(self) -> None:
        if self._hooks.registered():
            self._timer.cancel()
            self.accept()

    def _psm_at_us(self) -> int:
        granted = self.psm_granted
        active_s = periods.t3324_s(granted[1]) if granted is not None else None
        return max(self._port.now(), self._hooks.idle_at_us() + (active_s or 0) * 1_000_000)

    def _maybe_enter(self) -> None:
        granted = self.psm_granted
        if granted is None or not self._hooks.registered():
            return
        due_us = self._psm_at_us()
        if due_us > self._port.now():
            self._timer.set(due_us, self._maybe_enter)  # there was traffic: T3324 began anew
            return
        self.in_psm = True
        tau_s = periods.t3412_s(granted[0])
        if tau_s:
            # T3412 runs from the end of the connection on, as T3324 does.
            due_us = self._hooks.idle_at_us() + tau_s * 1_000_000
            self._timer.set(max(due_us, self._port.now() + 1_000_000), self._tau)
        self._hooks.psm(True)

    def _tau(self) -> None:
        self.updates += 1
        self.leave()
        self._hooks.update()  # its access moves the connection's end, and T3324 begins anew
        self.moved()
