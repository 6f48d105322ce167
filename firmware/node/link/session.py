"""One contact: modem on, attached, a door to the fleet, modem asleep again whatever happened."""

import asyncio

import machine
from micropython import const

from node.errors import LinkError
from node.link.modems import open_modem

_CLOSE_MS = const(12_000)  # of the 15 s that a cycle keeps of its cap
_BAUD = const(115200)
_BUFFER = const(4096)  # 115,200 baud fill it in 355 ms: the longest that nothing reads


class Session:
    """The modem and the door of one wake. `credentials` is a callable: read when needed."""

    def __init__(self, config: dict, credentials) -> None:
        pins = config["pins"]
        self._config = config
        self._credentials = credentials
        uart = machine.UART(
            1, baudrate=_BAUD, tx=pins["tx"], rx=pins["rx"], rxbuf=_BUFFER, txbuf=_BUFFER
        )
        self._modem = open_modem(config["modem"], uart)
        self._door = None

    async def open(self) -> None:
        """Wake the modem and attach; LinkError says why not."""
        await self._modem.wake()
        await self._modem.attach(self._config["apn"], self._config["attach_s"] * 1000)

    async def network_time(self) -> "int | None":
        """Seconds since 1970 UTC by the network, None when it gave none."""
        return await self._modem.network_time()

    async def door(self):
        """The open door to the fleet."""
        from node.link.door import MqttDoor

        values = dict(self._config)
        values.update(self._credentials())
        self._door = MqttDoor(self._modem, values)
        await self._door.open()
        return self._door

    async def close(self) -> None:
        """Close the door and let the modem sleep, within _CLOSE_MS; nothing is left to lose."""
        try:
            await asyncio.wait_for_ms(self._shut(), _CLOSE_MS)
        except (LinkError, asyncio.TimeoutError):
            self._modem.at.stop()  # the UART must be free for the next contact

    async def _shut(self) -> None:
        if self._door is not None:
            await self._door.close()
        await self._modem.sleep()
