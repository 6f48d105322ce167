"""The door by MQTT over TLS: a report is published, the receipt for it comes on a topic."""

import asyncio
import time

from micropython import const

from node.errors import DeliverTimeout, LinkError, MqttError
from node.link import tls
from node.link.mqtt import Mqtt
from node.wire import receipt

_SOCKET_MS = const(75_000)  # QIOPEN: 150 s at worst, users settle for 60..75 s
_TLS_MS = const(90_000)  # about 3 kB there and back, and two signatures
_MQTT_MS = const(30_000)
_CLOSE_MS = const(5_000)
_KEEPALIVE_S = const(300)  # longer than any silence between two reports of one contact


class MqttDoor:
    """MQTT over TLS. `config`: host, port, node, and the DER bytes key, cert and ca, which `open`
    takes out of it."""

    WINDOW = 16
    RECEIPT_MS = 40_000

    def __init__(self, modem, config: dict) -> None:
        self._modem = modem
        self._config = config
        self._receipts = "k1/%s/down/receipt" % config["node"]
        self._reports = "k1/%s/up/report" % config["node"]
        self._socket = None
        self._stream = None
        self._mqtt = None
        self._whole = None  # the receipt that would cover all of what was sent
        self._receipt = None
        self._lost: "LinkError | None" = None
        self._woken = asyncio.Event()  # the receipt is there, or the connection is lost
        self._update = None  # who hears the blocks of an update
        self._frames: "list[bytes] | None" = None  # for a bus, while somebody hears them

    async def open(self) -> None:
        """Socket, TLS, MQTT, subscription: SocketError, TlsError or MqttError says what failed.

        Cancelled, it leaves the clearing up to `close`.
        """
        c = self._config
        c.get("room", []).clear()  # TLS takes it
        try:
            # Taken out: once TLS has them, the heap need not.
            credentials = tls.credentials(c.pop("ca"), c.pop("cert"), c.pop("key"))
            self._socket = await self._modem.connect(c["host"], c["port"], _SOCKET_MS)
            self._stream = tls.secure(self._socket, c["host"], credentials, _TLS_MS)
            credentials = None
            self._mqtt = Mqtt(self._stream, c["node"], self._on_message, self._on_lost)
            await self._mqtt.connect(_KEEPALIVE_S, True, _TLS_MS + _MQTT_MS)
            await self._mqtt.subscribe("k1/%s/down/#" % c["node"], 0, _MQTT_MS)
        except LinkError:
            await self.close()
            raise

    async def deliver(self, report: bytes, whole: bytes, deadline_ms: int, last: bool) -> bytes:
        """The receipt for `report`: see node.link.door. `last` is of no use on a connection."""
        if self._mqtt is None:
            raise MqttError("the door is not open")
        start = time.ticks_ms()
        self._receipt = None
        self._whole = whole
        self._woken.clear()
        try:
            await self._mqtt.publish(self._reports, report, 1, deadline_ms)
            left = deadline_ms - time.ticks_diff(time.ticks_ms(), start)
            if not self._woken.is_set():
                await asyncio.wait_for_ms(self._woken.wait(), max(left, 0))
        except asyncio.TimeoutError:
            raise DeliverTimeout("no receipt within %d ms" % deadline_ms)
        except LinkError:
            if self._receipt is None:  # with it in hand, a missing PUBACK is no loss
                raise
        finally:
            self._whole = None
        if self._receipt is None:
            raise self._lost or MqttError("the connection is lost")
        return self._receipt

    async def poll(self, deadline_ms: int) -> bytes:
        """Nothing to ask for: what the fleet has comes with a receipt."""
        return receipt.encode(0, [])

    async def fetch(self, number: int, size: int, deadline_ms: int) -> bytes:
        """Never needed: receipts on this door carry their items whole."""
        raise MqttError("item %d came without its payload" % number)

    async def blocks(
        self, number: int, size: int, first: int, missing: bytes, take, deadline_ms: int
    ) -> int:
        """Some blocks of an update: see node.link.door."""
        if self._mqtt is None:
            raise MqttError("the door is not open")
        from node.link.mqttblocks import Wanted

        wanted = Wanted(number, first, missing, take, self._woken)
        self._update = wanted.heard
        try:
            topic = "k1/%s/up/block" % self._config["node"]
            return await wanted.ask(self._mqtt, topic, size, deadline_ms)
        finally:
            self._update = None

    @property
    def BLOCK(self) -> int:  # noqa: N802  of every door
        """The size of a block that suits it."""
        from node.link import mqttblocks

        return mqttblocks.size(self._modem)

    async def say(self, payload: bytes, deadline_ms: int) -> None:
        """To whoever talks to the bus through this door; MqttError when it is lost."""
        if self._frames is None:
            self._frames = []
        topic = "k1/%s/up/bus" % self._config["node"]
        await self._mqtt.publish(topic, payload, 0, deadline_ms)  # type: ignore[union-attr]

    async def hear(self, deadline_ms: int) -> "bytes | None":
        """The next of what they say; None at the deadline, or when the connection is lost."""
        until = time.ticks_add(time.ticks_ms(), deadline_ms)
        while not self._frames:
            left = time.ticks_diff(until, time.ticks_ms())
            if left <= 0 or self._lost is not None:
                return None
            self._woken.clear()
            try:
                await asyncio.wait_for_ms(self._woken.wait(), left)
            except asyncio.TimeoutError:
                return None
        return self._frames.pop(0)

    async def close(self) -> None:
        """DISCONNECT, then the socket; at most 10 s, and the modem's deadline for its socket."""
        mqtt, stream, socket = self._mqtt, self._stream, self._socket
        self._mqtt = self._stream = self._socket = None
        try:
            if mqtt is not None:
                await mqtt.disconnect(_CLOSE_MS)
        except LinkError:
            pass  # there is nobody left to say good-bye to
        try:
            if stream is not None:
                await stream.close()
            elif socket is not None:
                await socket.close()
        except LinkError:
            pass  # the socket is lost, and so closed

    def _on_message(self, topic: str, payload: bytes) -> None:
        if self._frames is not None and topic.endswith("/down/bus") and len(self._frames) < 4:
            self._frames.append(payload)
            self._woken.set()
        if self._update is not None and topic.endswith("/down/block"):
            self._update(payload)
        if topic != self._receipts or self._whole is None or self._receipt is not None:
            return
        if receipt.covers(payload, self._whole):
            self._receipt = payload
            self._woken.set()

    def _on_lost(self, error: LinkError) -> None:
        self._lost = error
        self._woken.set()
