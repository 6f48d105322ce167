"""Between the broker and the ingest: takes reports, gives receipts, acknowledges last of all.

paho's thread only queues. The thread of the batches commits, publishes each message's receipt, and
then acknowledges it to the broker; whatever happens before leaves it unacknowledged.
"""

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fleet.uplink import topics
from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Outcome
from fleet.uplink.message import Message

PENDING = 5000  # receipts that paho holds for a broker that does not read

log = structlog.get_logger("uplink")


@dataclass(frozen=True)
class BrokerAddress:
    """Where the broker is, and the PEM files of the fleet's own client identity."""

    host: str
    port: int
    authorities: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class _Arrived:
    mid: int
    qos: int  # 0 for what a node sent so: it has no mid, and acknowledging 0 is a protocol error
    connection: int


class Subscriber:
    """The fleet's MQTT client. `start` and `stop` from any thread."""

    def __init__(
        self,
        address: BrokerAddress,
        batches: Batches,
        heard: Callable[[str, bytes], None] | None = None,
        wanted: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._address = address
        self._heard = heard  # told of what comes from gateways' lines, in paho's thread
        self._wanted = wanted  # told of requests for blocks, alike
        self._batches = batches
        self._stopping = threading.Event()
        self._unreachable = False
        self._connection = 0  # counts connections: an acknowledgement belongs to one of them
        self.connected = threading.Event()  # while reports can come
        self.counts: Counter[str] = Counter()
        context = ssl.create_default_context(cafile=str(address.authorities))
        context.load_cert_chain(address.certificate, address.key)
        # A persistent session: a broker that supports it keeps reports while the fleet restarts.
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="fleet", clean_session=False, manual_ack=True
        )
        self._client.tls_set_context(context)
        self._client.reconnect_delay_set(1, 5)
        self._client.max_queued_messages_set(PENDING)
        self._client.on_socket_open = _send_at_once
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect in the background, again and again."""
        self._client.connect_async(self._address.host, self._address.port, keepalive=30)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect. Stop the batches before: what is still queued stays with the broker."""
        self._stopping.set()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            log.warning("the broker refuses the fleet", reason=str(reason))
            return
        self._connection += 1
        self._unreachable = False
        client.subscribe(
            [(topics.REPORTS, 1), (topics.CLAIMS, 1), (topics.BUS, 0), (topics.BLOCKS, 0)]
        )

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: object) -> None:
        self.counts["broker unreachable"] += 1
        if not self._unreachable:  # once for each time that it goes, not for each try
            self._unreachable = True
            log.warning(
                "the broker cannot be reached", host=self._address.host, port=self._address.port
            )

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            log.error("the broker lets the fleet see no reports", topic=topics.REPORTS)
            return
        self.connected.set()
        log.info("connected to the broker", host=self._address.host, port=self._address.port)

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.connected.clear()
        if not self._stopping.is_set():
            log.warning("the broker is gone", reason=str(reason))

    def _on_message(
        self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage
    ) -> None:
        try:
            node_id = topics.sender_of(message.topic)
        except UnicodeDecodeError:
            node_id = None
        if node_id is None:
            self._other(message)
            client.ack(message.mid, message.qos)
            return
        arrived = _Arrived(message.mid, message.qos, self._connection)
        # Waiting here stops reading from the socket. In the end the broker drops the connection,
        # and the next one begins afresh. To drop a message instead would leave it in the broker's
        # window for ever, which a hundred of them would close.
        self._batches.submit(
            Message(node_id, bytes(message.payload), time.time_ns() // 1000),
            lambda outcome: self._answer(node_id, arrived, outcome),
        )

    def _other(self, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        told = ((topics.node_of_bus, self._heard), (topics.node_of_block, self._wanted))
        for node_of, hear in told:
            node_id = node_of(topic)
            if node_id is not None:
                if hear is not None:
                    hear(node_id, bytes(message.payload))
                return
        self.counts["foreign topic"] += 1

    def say_block(self, node_id: str, payload: bytes) -> None:
        """A block of an update. Nothing is kept for a node that does not listen, nor for a broker
        that does not.
        """
        if self.connected.is_set():
            self._client.publish(topics.blocks_of(node_id), payload, qos=0)

    def say(self, node_id: str, payload: bytes) -> None:
        """To a gateway's line. Nothing is kept for one that does not listen."""
        self._client.publish(topics.bus_of(node_id), payload, qos=0)

    def _answer(self, node_id: str, arrived: _Arrived, outcome: Outcome) -> None:
        if outcome.receipt is not None:
            self._client.publish(topics.answer_of(node_id), outcome.receipt, qos=0)
        # An acknowledgement of an earlier connection could hit another message of this one.
        if arrived.connection == self._connection:
            self._client.ack(arrived.mid, arrived.qos)


def _send_at_once(_client: mqtt.Client, _userdata: object, sock: Any) -> None:
    # Nagle's algorithm would hold a receipt back until the peer's delayed acknowledgement, 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
