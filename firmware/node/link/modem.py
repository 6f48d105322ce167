"""What every modem can do, by 3GPP TS 27.007, and the sockets that it hands out.

A family (link/modems/) adds what 27.007 leaves open. Every wait has a deadline: a modem that goes
mute ends in ModemMute, whatever it was doing. What not every wake needs is in modules of its own.
"""

import asyncio

from micropython import const

from node.errors import AtError, ConfigError, ModemMute, SocketError
from node.link.at import At
from node.link.socket import Socket

SHORT_MS = const(5_000)  # commands that only touch the modem itself: BC660K, EC2x AT manuals
CFUN_MS = const(25_000)  # BC660K AT manual; EC2x need 15 s
_BRIEF_TRIES = const(8)  # of AT, for a modem that was mute in the wake before
_TEXT_MOST = const(150)
# What the normal wake does not keep in the heap, or not need at all: method, and its module. One
# text, since each name of a table would stay in the heap.
_ELSEWHERE = (
    " attach:node.link.registration network_time:node.link.nettime"
    " identity:node.link.diagnosis signal:node.link.cell resolve:node.link.dns"
    " datagram:node.link.datagram power_saving:node.link.saving edrx:node.link.saving"
    " dial:node.link.ppp hang_up:node.link.ppp "
)


def quotable(text: str, name: str) -> str:
    """`text` where it can stand between quotes in an AT command; ConfigError where it cannot."""
    if len(text) > _TEXT_MOST:
        raise ConfigError("%s is longer than %d" % (name, _TEXT_MOST))
    for c in text.encode():
        if not 32 < c < 127 or c == 34:  # a quote
            raise ConfigError("%s has a character that AT commands cannot carry" % name)
    return text


class Modem:
    """`uart` as in At. `pins`: "reset", "pwrkey", "dtr", "psm_exit", "cut" -> value(level).

    All are optional. Level 1 means active, and an undriven pin is inactive: the board's wiring
    inverts where the module wants low. "cut" takes the modem's supply away while it is active.

    Besides what stands below there are, by functions of the same name in modules of their own,

        async attach(apn, deadline_ms)              register and get a data connection
        async network_time() -> int | None          s since 1970 UTC, None before it was told
        async resolve(host, deadline_ms) -> str     IPv4 address, from a cache or by DNS
        async datagram(host, port, deadline_ms) -> Datagram                       UDP to one peer
        async power_saving(tau_s, active_s) -> (tau_s, active_s) | None    PSM asked for, granted
        async edrx(cycle_ms) -> (cycle_ms, ptw_ms) | None                         eDRX, likewise
        async dial(deadline_ms), async hang_up()    PPP, where the family has it: link/ppp.py
        async identity() -> dict                    imei, imsi, iccid, model, firmware
        async signal() -> dict                      RSRP and so on, and the serving cell

    A family sets the constants, overrides the hooks at the end as it needs, and adds

        async transmit(number, part)   hand at most MAX_SEND bytes to the TCP socket `number`
        async release(number)          free the modem's socket `number`, of TCP or UDP
        async _open(number, host, port)             TCP; SocketError.cause: the modem's code
        async _open_udp(number, host, port)         UDP; `host` is an IPv4 text
        async _send_udp(number, host, port, data, release)   as Datagram.send
        async _resolve(host) -> str                 an IPv4 text; SocketError
        async _engine() -> dict                     what it tells of `signal` beyond CSQ and CESQ

    It calls on_data(payload) and on_close() of `_sockets[number]`, for TCP and UDP alike.
    """

    MAX_SEND = 1024  # bytes of one TCP send
    MAX_DATAGRAM = 1024  # bytes of one UDP send
    SOCKET_IDS = (0,)
    WAKE_TRIES = 24  # of 500 ms: from power or a reset until AT is answered
    PSM = False  # whether it saves power by PSM (TS 24.301 5.3.11)
    EDRX = False  # whether by eDRX (TS 24.301 5.3.12)
    RELEASE = False  # whether `release` of a datagram reaches the network
    PPP = False  # whether `dial` is possible
    RADIO = 7  # <AcT> of 27.007: 7 LTE, 9 NB-IoT
    BANDS = ""  # the command that tells and sets its bands (link/bands.py)
    IMEI = "AT+CGSN"
    ICCID = ("AT+QCCID", "+QCCID:")  # command, and what its answer begins with
    CLOCK = ("AT+CCLK?", "+CCLK:")
    CLOCK_UTC = False  # 27.007 says local time; some families mean UTC, and tell the zone along
    FOTA = ""  # the command that has it fetch firmware of its own (fota.py) from a host:port/path
    OFF = ""  # the command that switches it off in good order
    busy = False  # it stays awake behind a contact: link/writing.py
    RESET_MS = 100  # how long the reset pin is held
    PWRKEY_MS = 600

    def __init__(self, uart, pins=None) -> None:
        self.at = At(uart)
        self.names = []  # the cache of link/dns.py
        self.ppp = None  # the network.PPP that has the UART
        self._pins = pins or {}
        self._sockets = {}
        self._awake = False
        self._registration = None  # while attaching
        self.at.on_urc("RDY", self._on_restart)
        self.at.on_urc("+CEREG:", self._on_registration)

    # -- for the link ---------------------------------------------------------------------------

    async def wake(self, state=None) -> None:
        """Bring the modem to where it takes commands; ModemMute when it cannot be reached.

        At most WAKE_TRIES x 500 ms and the settings, and behind that the ladder (link/ladder.py),
        which counts its rungs in `state` (get, set: RtcState) and goes on there from wake to wake.
        """
        self._awake = False
        rung = 0 if state is None else state.get("rung", 0)
        await self._rouse()
        try:
            await self.at.sync(_BRIEF_TRIES if rung else self.WAKE_TRIES)
        except ModemMute:
            from node.link import ladder

            await ladder.climb(self, state)
        await self._set_up()
        self._awake = True
        if state is not None:
            state.set("rung", 0)

    async def connect(self, host: str, port: int, deadline_ms: int) -> Socket:
        """A TCP connection; SocketError.cause is the modem's result code, 0 for the deadline."""
        return await self.opened(Socket, self._open, host, port, deadline_ms)

    async def sleep(self) -> None:
        """Close what is open and let the modem sleep. The UART is free afterwards."""
        try:
            if self._awake:
                self._awake = False
                for socket in list(self._sockets.values()):
                    await socket.close()
                if not self.busy:
                    await self._doze()
        finally:
            self._awake = False
            self.lose_sockets("the modem sleeps")
            self.at.stop()

    def __getattr__(self, name: str):
        at = _ELSEWHERE.find(" " + name + ":")
        if at < 0:
            raise AttributeError(name)
        path = _ELSEWHERE[at + len(name) + 2 :].split(" ", 1)[0]
        function = getattr(__import__(path, None, None, (name,)), name)
        return lambda *args: function(self, *args)

    # -- for the sockets ------------------------------------------------------------------------

    async def opened(self, kind, opener, host: str, port: int, deadline_ms: int):
        """A socket of class `kind` that `opener(number, host, port)` has opened in the modem."""
        quotable(host, "host")
        number = None
        for candidate in self.SOCKET_IDS:
            if candidate not in self._sockets:
                number = candidate
                break
        if number is None:
            raise SocketError("all %d sockets are open" % len(self.SOCKET_IDS))
        socket = kind(self, number)
        self._sockets[number] = socket  # the first bytes may come right behind the result
        done = False
        try:
            await asyncio.wait_for_ms(opener(number, host, port), deadline_ms)
            done = True
        except asyncio.TimeoutError:
            raise SocketError("%s:%d: no connection in %d ms" % (host, port, deadline_ms))
        finally:
            if not done:
                self.forget(socket)
        return socket

    def holds(self, socket) -> bool:
        """Whether the modem still has a socket behind `socket`."""
        return self._sockets.get(socket.number) is socket

    def forget(self, socket) -> None:
        """`socket` is closed, its number may be used again."""
        if self.holds(socket):
            del self._sockets[socket.number]

    def lose_sockets(self, why: str) -> None:
        """Every socket is gone without a word to its peer."""
        for socket in list(self._sockets.values()):
            socket.fail(SocketError(why))
        self._sockets.clear()

    def _on_restart(self, line: str, payload) -> None:
        # Boot noise on a first start; in the middle of a contact it is a brown-out of the modem.
        self.lose_sockets("the modem restarted")
        self.at.hurry()

    def _on_registration(self, line: str, payload) -> bool:
        return self._registration is not None and self._registration.on_urc(line)

    # -- for the family -------------------------------------------------------------------------

    async def _nothing(self, *args) -> None:
        pass

    _rouse = _nothing  # before the first AT: pins that end the modem's sleep
    _use_apn = _nothing  # (apn), not empty: make it the one to attach with
    _activate = _nothing  # after registration: what is needed before a socket can be opened
    _sleep_soon = _nothing  # when PSM is asked for: let idling be short
    _refusal = _nothing  # the EMM cause of a refusal that CEREG did not tell; None or 0: unknown

    async def _search(self) -> None:
        """Switch the radio on; with it begins the search for a network."""
        await self.at.command("AT+CFUN=1", CFUN_MS)

    async def _doze(self) -> None:
        """Let the modem go to its lowest consumption."""
        await self.at.command("AT+CFUN=0", CFUN_MS)

    async def _set_up(self) -> None:
        await self._quietly("ATE0")  # the engine leaves echoes out
        await self._quietly("AT+CMEE=1")

    async def _quietly(self, command: str) -> None:
        # For what not every firmware of a family knows, or what may be done already.
        await self.line(command, "OK")

    async def _pulse(self, name: str, hold_ms: int) -> None:
        pin = self._pins[name]
        pin.value(1)
        try:
            await asyncio.sleep_ms(hold_ms)
        finally:
            pin.value(0)

    async def line(self, command: str, prefix: str, deadline_ms: int = SHORT_MS) -> str:
        """The first line of the answer that starts so, empty where the modem gives none."""
        try:
            lines = await self.at.command(command, deadline_ms, expect=prefix)
        except AtError:
            return ""
        return lines[0] if lines else ""
