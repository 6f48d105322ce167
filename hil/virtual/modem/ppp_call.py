"""One PPP call of a modem: CONNECT, the link on the UART, its suspension, and NO CARRIER."""

import errno
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.virtual.modem.delays import Alarm
from hil.virtual.modem.escape import Escape
from hil.virtual.modem.ppp import NetworkLink
from hil.virtual.modem.ppp_sockets import PppSockets
from hil.virtual.net import TcpCarrier, TcpEvents

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

FIRST_US = (50_000, 300_000)  # from CONNECT to the module's first packet
LOST = "NO CARRIER"


class PppCall:
    """An IpLink. `calls` and `packets` count; packets beyond LCP and IPCP lead nowhere."""

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        self._modem = modem
        self._rng = rng
        self._link: NetworkLink | None = None
        self._sockets: PppSockets | None = None
        self._escape: Escape | None = None
        self._timer: Alarm | None = None
        self._started = False
        self._up = False
        self.online = False
        self.calls = 0

    @property
    def active(self) -> bool:
        """Whether there is a call, suspended or not."""
        return self._link is not None

    # -- what the commands do -------------------------------------------------------------------

    def begin(self, address: str) -> None:
        """The modem has said CONNECT; `address` will be the host's."""
        port = self._modem.bridge.port
        self.calls += 1
        self._timer = timer = Alarm(port)

        def arm(ms: int) -> None:
            timer.cancel()
            if ms:
                timer.set(port.now() + 1000 * ms, link.expired)

        link = NetworkLink(address, self._rng, self._write, arm, self._changed, self._ended)
        self._link = link
        self._started = False
        self._sockets = PppSockets(self._modem, lambda: self._up)
        self._escape = Escape(port, self._modem.wire.duration_us, self._suspend)
        self._go_online(True)
        timer.set(port.now() + self._rng.randint(*FIRST_US), self._start)

    def resume(self) -> None:
        """ATO: back to data."""
        self._go_online(True)

    def hang_up(self) -> None:
        """ATH, or the end of the module itself: nobody is told."""
        self._clear()

    def servers_gone(self) -> None:
        """Every connection's other end is."""
        if self._sockets is not None:
            self._sockets.bridge.hang_up()

    def lose(self) -> None:
        """The network is gone, or has taken the context away."""
        if self._link is None:
            return
        if self._sockets is not None:
            self._sockets.drop(errno.ECONNABORTED)
        if self.online:
            self._link.close()
        if self._link is not None and (not self.online or not self._link.closing):
            self._ended()

    # -- IpLink ---------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """As IpLink's."""
        return self._up and self.online

    def connect(self, address: str, port: int, events: TcpEvents) -> TcpCarrier:
        """As IpLink's."""
        return self._carrying.connect(address, port, events)

    def resolve(self, host: str, done: Callable[[str | None], None]) -> None:
        """As IpLink's."""
        self._carrying.resolve(host, done)

    def drop(self) -> None:
        """As IpLink's; the modem knows nothing of it, and stays in data mode."""
        if self._sockets is not None:
            self._sockets.drop()

    @property
    def _carrying(self) -> PppSockets:
        if self._sockets is None:
            raise RuntimeError("there is no call")
        return self._sockets

    # -- the line -------------------------------------------------------------------------------

    def _go_online(self, online: bool) -> None:
        self.online = online
        self._modem.terminal.go_online(self._hear if online else None)
        self._modem.touch()
        if self._sockets is not None:
            if online:
                self._sockets.resume()
            else:
                self._sockets.pause()

    def _hear(self, data: bytes) -> None:
        if self._escape is not None and self._link is not None:
            self._escape.hear(data)
            self._start()
            self._link.feed(data)

    def _start(self) -> None:
        # By itself, or when the host begins.
        if self._link is not None and not self._started:
            self._started = True
            self._link.start()

    def _write(self, data: bytes) -> None:
        if self.online:  # else it is lost, and the link repeats it
            self._modem.terminal.stream(data)

    def _suspend(self) -> None:
        self._go_online(False)
        self._modem.answer("OK")

    def _changed(self, up: bool) -> None:
        self._up = up
        if not up and self._sockets is not None:
            self._sockets.drop(errno.ECONNABORTED)

    def _ended(self) -> None:
        self._clear()
        self._modem.urc(LOST)

    def _clear(self) -> None:
        if self._sockets is not None:
            self._sockets.drop(errno.ECONNABORTED)
        if self._timer is not None:
            self._timer.cancel()
        if self._escape is not None:
            self._escape.stop()
        was_online = self.online
        self._link = self._sockets = self._escape = self._timer = None
        self._up = False
        if was_online:
            self._go_online(False)
