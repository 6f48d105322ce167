"""One contact: modem on, attached, a door to the fleet, modem asleep again whatever happened."""

import asyncio

import machine
from micropython import const

from node.errors import AtError, LinkError
from node.link.modems import open_modem
from node.modules import forget

_CLOSE_MS = const(12_000)  # of the 15 s that a cycle keeps of its cap
_TLS_ROOM = const(3072)  # bytes of an ssl.SSLContext
_BAUD = const(115200)
_BUFFER = const(4096)  # 115,200 baud fill it in 355 ms: the longest that nothing reads


class Session:
    """The modem and the door of one wake.

    `state` (get, set: RtcState) keeps what the next wake must know: where the ladder stood
    ("rung"), how often each of its rungs was used ("rungs"), addresses ("names"), and whether the
    modem may be writing firmware of its own ("fota").
    """

    def __init__(self, config: dict, state) -> None:
        # What TLS wants in one piece: there is one before the modem's driver is loaded.
        self.room = [] if config.get("door") == "coap" else [bytearray(_TLS_ROOM)]
        pins = config["pins"]
        self.config = config
        self.state = state
        uart = machine.UART(
            1, baudrate=_BAUD, tx=pins["tx"], rx=pins["rx"], rxbuf=_BUFFER, txbuf=_BUFFER
        )
        wired = {}
        # See Modem. One text: each name of a list would stay in the heap.
        for name in "dtr psm_exit pwrkey reset cut".split():  # noqa: SIM905
            if name in pins:
                wired[name] = pins[name]
                if name not in "reset cut":  # these the ladder opens
                    wired[name] = machine.Pin(pins[name], machine.Pin.OUT)
        self.modem = open_modem(config["modem"], uart, wired)
        self.modem.names = state.get("names", [])
        self.voucher = None  # the claim id of a node that has no identity yet
        self.opened = []  # what is to be closed before the modem sleeps, the last one first

    async def wake(self) -> None:
        """Bring the modem to where it takes commands; LinkError says why not."""
        if self.state.get("fota", 1):  # None: power came back, and NVS knows
            from node.link import writing

            await writing.wake(self)
            forget("node.link.writing")
        else:
            await self.modem.wake(self.state)

    async def open(self) -> None:
        """Wake the modem and attach; LinkError says why not."""
        config = self.config
        await self.wake()
        await self.modem.attach(config["apn"], config["attach_s"] * 1000)
        if config.get("tau_s"):
            from node.link import saving

            try:
                await saving.ensure_psm(self.modem, config["tau_s"], config.get("active_s", 60))
            except AtError:
                pass  # this costs energy, not the contact
        if config.get("edrx_s") is not None:
            from node.link import saving

            try:
                await saving.ensure_edrx(self.modem, config["edrx_s"] * 1000)
            except AtError:
                pass  # as above

    async def network_time(self) -> "int | None":
        """Seconds since 1970 UTC by the network, None when it gave none."""
        return await self.modem.network_time()

    async def door(self):
        """The open door to the fleet."""
        # These are done with, and TLS needs the room.
        forget("node.link.registration node.link.nettime node.link.ladder node.link.saving")
        forget("node.link.timers node.link.modems")
        if self.config.get("bearers"):
            from node.link import bearers

            return await bearers.door(self)
        return await self.through(self.modem)

    async def through(self, bearer):
        """The open door over `bearer`, which has connect() as Modem has it."""
        if self.voucher:
            from node.link.claim_door import open_door
        else:
            from node.link.door import open_door

        return await open_door(self, bearer)

    async def close(self) -> None:
        """Close the door and let the modem sleep, within _CLOSE_MS; nothing is left to lose."""
        try:
            await asyncio.wait_for_ms(self._shut(), _CLOSE_MS)
        except (LinkError, asyncio.TimeoutError):
            self.modem.at.stop()  # the UART must be free for the next contact
        if self.modem.names:
            self.state.set("names", self.modem.names)

    async def _shut(self) -> None:
        try:
            while self.opened:
                await self.opened.pop().close()
        finally:
            # Done with: putting a modem to sleep takes as much room as waking it.
            forget("node.link.coap_door node.link.coap node.link.oscore node.link.coapblocks")
            forget("node.link.mqtt_door node.link.mqtt node.link.https node.link.tls")
            await self.modem.sleep()
