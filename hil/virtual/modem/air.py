"""The RRC connection: it takes the radio's time for packets, loses some, and ends when idle.

Idle -> connected by random access; connected until nothing was sent for `inactivity_s`, or at once
with release assistance (3GPP TS 36.331, 5.3; TS 24.301 annex A for release assistance in NAS).
"""

import random
from collections.abc import Callable

from hil.virtual.modem.airhooks import AirHooks, AirOptions
from hil.virtual.modem.delays import Delays
from hil.virtual.modem.energy import Ledger
from hil.virtual.modem.journeys import Journeys
from hil.virtual.modem.radio import Burst, Link, length_us
from hil.virtual.modem.supply import Supply
from hil.virtual.twin import UartPort

__all__ = ["Air", "AirHooks", "AirOptions"]

RELEASE_NOW = 1  # nothing more is coming
RELEASE_AFTER_ANSWER = 2  # one downlink packet is expected
RETRY_US = 1_000_000  # TCP's first retransmission (RFC 6298), doubled each time
RETRIES = 6
DRX_US = 2_560_000
HELD_MOST = 32  # packets that the network keeps for a terminal that it cannot reach


class Air:
    """Packets are given with their IP size; `arrived` is called once, or never for a lost one."""

    def __init__(
        self,
        port: UartPort,
        rng: random.Random,
        ledger: Ledger,
        supply: Supply,
        options: AirOptions,
        hooks: AirHooks,
    ) -> None:
        self._port = port
        self._rng = rng
        self._ledger = ledger
        self._supply = supply
        self._options = options
        self._hooks = hooks
        self._delays = Delays(port)
        self.journeys = Journeys(rng, options)
        self._busy_until = 0
        self._release_after_answer = False
        self._held: list[Callable[[], None]] = []
        self.idle_at_us = 0  # the connection's end, unless something happens before
        self.accesses = 0
        self.lost = 0

    @property
    def connected(self) -> bool:
        """Whether there is an RRC connection."""
        return self._port.now() < self.idle_at_us

    @property
    def _releasing(self) -> bool:
        # The connection ends with what is on the air now.
        return self.connected and self._busy_until >= self.idle_at_us

    def reset(self) -> None:
        """The radio is off: nothing is on the air any more."""
        self._delays.clear()
        self._held.clear()
        self._ledger.cut(self._port.now())
        self._busy_until = self.idle_at_us = 0
        self._release_after_answer = False

    def change(self, options: AirOptions) -> None:
        """From the next packet on."""
        self._options = options
        self.journeys.change(options)

    @property
    def options(self) -> AirOptions:
        """As they are now."""
        return self._options

    def later(self, due_us: int, fn: Callable[[], None]) -> None:
        """Call `fn` at `due_us`, unless the radio goes off before."""
        self._delays.at(due_us, fn)

    # -- packets --------------------------------------------------------------------------------

    def up(self, octets: int, arrived: Callable[[], None], release: int = 0) -> None:
        """A datagram: nobody repeats it, and it may come twice, or late."""
        sent_us = self._transmit(octets, release)
        if sent_us is None or self.journeys.lost():
            self.lost += 1
            return
        for late_us in self.journeys.copies():
            self._come(sent_us, late_us, arrived)

    def up_surely(
        self, octets: int, arrived: Callable[[], None], failed: Callable[[], None], tries: int = 0
    ) -> None:
        """A packet that TCP repeats until it has arrived, or `failed` after RETRIES."""
        sent_us = self._transmit(octets, 0)
        if sent_us is not None and not self.journeys.lost():
            self.later(sent_us, arrived)
            return
        self.lost += 1
        if tries == RETRIES:
            failed()
            return
        again_us = max(sent_us or 0, self._port.now()) + (RETRY_US << tries)
        self.later(again_us, lambda: self.up_surely(octets, arrived, failed, tries + 1))

    def down(self, octets: int, arrived: Callable[[], None]) -> None:
        """A datagram from the network: it is gone where the terminal cannot be reached."""
        if self.journeys.lost():
            self.lost += 1
            return
        due_us = self._port.now() + self._one_way_us()

        def come() -> None:
            self._page(lambda: self._receive(octets, arrived), None)

        for late_us in self.journeys.copies():
            self._come(due_us, late_us, come)

    def down_surely(self, octets: int, arrived: Callable[[], None], tries: int = 0) -> None:
        """A packet that the peer's TCP repeats; it waits for a terminal that sleeps."""
        if self.journeys.lost() and (tries < RETRIES or self.journeys.dark):
            self.lost += 1
            again_us = self._port.now() + (RETRY_US << min(tries, RETRIES))
            self.later(again_us, lambda: self.down_surely(octets, arrived, tries + 1))
            return
        due_us = self._port.now() + self._one_way_us()

        def receive() -> None:
            self._receive(octets, arrived)

        self.later(due_us, lambda: self._page(receive, receive))

    def acknowledge(self, up: int = 0, down: int = 0) -> None:
        """Packets that nobody waits for, TCP's acknowledgements: they take the radio's time."""
        link = self._hooks.bearer()
        if link is None or not self.connected or self._releasing:
            return
        bursts = link.uplink(up, self._rng) if up else []
        bursts += link.downlink(down, self._rng) if down else []
        self._occupy(link, bursts, up, down)
        self._end(link, 0)

    def exchange(self, rounds: int) -> int | None:
        """NAS signalling of an attach or a TAU; when it ends, None without a cell."""
        link = self._hooks.cell()
        if link is None:
            return None
        self._occupy(link, [*self._engage(link), *link.signalling(rounds, self._rng)], 0, 0)
        end_us = self._busy_until
        self._end(link, RELEASE_NOW if rounds == 1 else 0)
        return end_us

    def release(self) -> None:
        """The terminal says that it has nothing more to send or to expect."""
        link = self._hooks.bearer()
        if link is not None and self.connected and not self._releasing:
            self._busy_until = max(self._port.now(), self._busy_until)
            self._ledger.cut(self._busy_until)
            self._end(link, RELEASE_NOW)

    # -- the connection -------------------------------------------------------------------------

    def _transmit(self, octets: int, release: int) -> int | None:
        # When the packet has reached the host; None without a cell.
        link = self._hooks.bearer()
        if link is None:
            return None
        self._occupy(link, [*self._engage(link), *link.uplink(octets, self._rng)], octets, 0)
        sent_us = self._busy_until
        self._end(link, release)
        return sent_us + self._one_way_us()

    def _page(self, receive: Callable[[], None], unreachable: Callable[[], None] | None) -> None:
        if self._releasing:
            self.later(self.idle_at_us, lambda: self._page(receive, unreachable))
            return
        if self.connected:
            receive()
            return
        due_us = self._hooks.reachable_us() if self._hooks.bearer() is not None else None
        if due_us is not None:
            self.later(due_us, receive)
        elif unreachable is not None and len(self._held) < HELD_MOST:
            self._held.append(unreachable)
        else:
            self.lost += 1

    def _receive(self, octets: int, arrived: Callable[[], None]) -> None:
        link = self._hooks.bearer()
        if link is None:
            self._held.append(lambda: self._receive(octets, arrived))
            return
        bursts = [] if self.connected else self._engage(link)
        self._occupy(link, [*bursts, *link.downlink(octets, self._rng)], 0, octets)
        arrived_us = self._busy_until
        self._end(link, RELEASE_NOW if self._release_after_answer else 0)
        self.later(arrived_us, arrived)

    def _engage(self, link: Link) -> list[Burst]:
        now = self._port.now()
        if self.connected and not self._releasing:
            # Behind other packets a grant comes without asking (buffer status report).
            return [] if self._busy_until > now else link.request(self._rng)
        self.accesses += 1
        self._hooks.accessed()
        held, self._held = self._held, []
        for receive in held:
            self.later(now + DRX_US, receive)
        return link.access(self._rng)

    def _occupy(self, link: Link, bursts: list[Burst], up: int, down: int) -> None:
        start_us = max(self._port.now(), self._busy_until)
        self._ledger.cut(start_us)  # the connection goes on instead of ending
        self._ledger.play(bursts, start_us)
        self._ledger.octets(up, down)
        self._busy_until = start_us + length_us(bursts)
        self._hooks.spent(up + down)
        at = start_us
        for burst in bursts:
            if burst.kind == "tx":
                ma = self._ledger.power.transmitting(burst.dbm)
                if not self._supply.carries(ma):
                    self.later(at + 1000, self._hooks.brown_out)
                    return
            at += burst.us

    def _end(self, link: Link, release: int) -> None:
        # After the last packet: the tail, and the release behind it.
        end = self._busy_until
        self._release_after_answer = release == RELEASE_AFTER_ANSWER
        bursts = link.release(self._rng)
        if release != RELEASE_NOW:
            tail_us = int(self._options.inactivity_s * 1_000_000)
            self._ledger.tail(end, tail_us, link.monitoring)
            end += tail_us
        self._ledger.play(bursts, end)
        self.idle_at_us = end + length_us(bursts)
        if release == RELEASE_NOW:
            self._busy_until = self.idle_at_us
        self._hooks.moved()

    def _come(self, due_us: int, late_us: int, arrived: Callable[[], None]) -> None:
        # Time must not jump along what is late: somebody real may be answering what is not. Nor
        # does it matter to that whether the radio stays on.
        if late_us:
            self._port.call_at(due_us + late_us, arrived)
        else:
            self.later(due_us, arrived)

    def _one_way_us(self) -> int:
        link = self._hooks.bearer()
        core_us = link.core_us if link is not None else 0
        return core_us + int(self._options.delay_s * 1_000_000)
