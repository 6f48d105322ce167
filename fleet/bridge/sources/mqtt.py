"""Topics of somebody's broker. It keeps what we have not acknowledged, so it is the cursor: an
acknowledgement goes out behind the commit, and what was not taken in comes again.
"""

import queue
import re
import ssl
import threading
import time
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from fleet.bridge import documents, fetch
from fleet.bridge.errors import SourceGone
from fleet.bridge.keys import Keys
from fleet.bridge.rows import LONGEST, Bad, Batch, Row

WAIT_S = 1.0  # for the first message of a batch
CONNECT_S = 20.0
MOST_BYTES = 1_000_000  # of one message
WINDOW = 1000  # messages that we hold; the broker waits with the others
WINDOW_BYTES = 16_000_000  # of them all, and of those of the batch
_LEVEL = re.compile(r"\{([A-Za-z0-9_]{1,40})\}")


@dataclass(frozen=True)
class _Arrived:
    connection: int
    mid: int
    qos: int
    topic: str
    payload: bytes
    size: int  # of the payload, of which no more is kept than is shown where it is too large


class MqttSource:
    """`batch` messages at a time. Connects at its first read.

    `is_kept`: the broker keeps messages while we are away, and until we acknowledge them.
    """

    def __init__(self, table: Keys, name: str, batch: int, is_kept: bool = True) -> None:
        self._host = table.text("host", most=253)
        self._is_tls = table.is_on("tls", True)
        self._port = table.whole("port", 1, 65535, 8883 if self._is_tls else 1883)
        self._levels = [topic.split("/") for topic in table.texts("topics")]
        if not self._levels:
            raise table.fault("topics", 'such as ["gas/{district}/{meter}/up"]')
        self._items = table.text("items", "")
        self._plain = table.one_of("payload", ("json", "text"), "json") == "text"
        ca = table.file("ca_file") if "ca_file" in table else None
        prefix = table.text("client_id", "kapok", 60)
        # A session of its own for each bridge: two under one name would throw each other out.
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{prefix}-{name}",
            clean_session=not is_kept, manual_ack=True,
        )  # fmt: skip
        user, password = table.text("user", ""), table.secret("password")
        if user:
            self._client.username_pw_set(user, password or None)
        if self._is_tls:
            try:
                context = ssl.create_default_context(cafile=None if ca is None else str(ca))
                if "certificate_file" in table:
                    context.load_cert_chain(table.file("certificate_file"), table.file("key_file"))
            except (OSError, ssl.SSLError) as e:
                raise table.fault("ca_file", str(e)[:120]) from None
            self._client.tls_set_context(context)
        table.end()
        self._batch = batch
        self._waiting: queue.Queue[_Arrived] = queue.Queue(WINDOW)
        self._held: list[_Arrived] = []
        self._bytes, self._room = 0, threading.Condition()
        self._connection = 0
        self._refused = ""
        self._is_started = self._is_closed = False
        self._subscribed = False
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def read(self, cursor: str) -> Batch:
        """What has come; the same again when that was not settled."""
        self._start()
        if not self._held:
            self._collect()
        rows: list[Row] = []
        bad: list[Bad] = []
        for one in self._held:
            self._read_one(one, rows, bad)
        return Batch(rows, bad, cursor, len(self._held) < self._batch)

    def settled(self, batch: Batch) -> None:
        """Acknowledge what it was made of."""
        held, self._held = self._held, []
        with self._room:
            self._bytes -= sum(len(one.payload) for one in held)
            self._room.notify_all()
        for one in held:
            # An acknowledgement of an earlier connection could hit another message of this one.
            if one.qos and one.connection == self._connection:
                self._client.ack(one.mid, one.qos)

    def close(self) -> None:
        """Disconnect; the broker keeps the session."""
        self._is_closed = True
        if self._is_started:
            self._client.disconnect()
            self._client.loop_stop()

    def _start(self) -> None:
        if not self._is_started:
            self._client.connect_async(self._host, self._port, keepalive=30)
            self._client.loop_start()
            self._is_started = True
        end = time.monotonic() + CONNECT_S
        while not self._subscribed:
            if self._refused or time.monotonic() > end:
                raise SourceGone(f"{self._host}:{self._port}: {self._refused or 'not reached'}")
            time.sleep(0.02)

    def _collect(self) -> None:
        wait = WAIT_S
        try:
            while len(self._held) < self._batch:
                self._held.append(self._waiting.get(timeout=wait))
                wait = 0.05
        except queue.Empty:
            return

    def _read_one(self, one: _Arrived, rows: list[Row], bad: list[Bad]) -> None:
        topic = self._named(one.topic)
        place = one.topic[:200]
        if self._plain:
            text = one.payload.decode("utf-8", "replace")[:LONGEST]
            rows.append(Row(place, {"value": text, **topic}))
            return
        shown = {"payload": one.payload.decode("utf-8", "replace")[:LONGEST], **topic}
        if one.size > MOST_BYTES:
            bad.append(Bad(Row(place, shown), f"a message of {one.size} bytes"))
            return
        try:
            document = fetch.parsed(one.payload, "the topic")
        except SourceGone:
            bad.append(Bad(Row(place, shown), "the message is no JSON"))
            return
        found = documents.at(document, self._items)
        items = found if isinstance(found, list) else [found]
        if found is None or not all(isinstance(item, dict) for item in items):
            bad.append(Bad(Row(place, shown), f"no items at {self._items or 'the top'!r}"))
            return
        rows.extend(Row(place, {**documents.cells(item), **topic}) for item in items)

    def _named(self, topic: str) -> dict[str, str]:
        """What stands at the named levels, as cells `topic.NAME`; the whole of it as `topic`."""
        found = {"topic": topic}
        parts = topic.split("/")
        for levels in self._levels:
            names = [_LEVEL.fullmatch(level) for level in levels]
            fits = len(parts) == len(levels) and all(
                name or level in ("+", part)
                for name, level, part in zip(names, levels, parts, strict=True)
            )
            if fits:
                found |= {
                    f"topic.{name[1]}": part
                    for name, part in zip(names, parts, strict=True)
                    if name
                }
        return found

    def _on_connect(
        self, client: mqtt.Client, _userdata: object, _flags: mqtt.ConnectFlags,
        reason: ReasonCode, _properties: Properties | None,
    ) -> None:  # fmt: skip
        if reason.is_failure:
            self._refused = f"the broker refuses us: {reason}"
            return
        self._connection += 1
        self._refused = ""
        filters = ["/".join("+" if _LEVEL.fullmatch(x) else x for x in y) for y in self._levels]
        client.subscribe([(each, 1) for each in filters])

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: object) -> None:
        self._refused = "cannot be reached"

    def _on_disconnect(
        self, _client: mqtt.Client, _userdata: object, _flags: mqtt.DisconnectFlags,
        _reason: ReasonCode, _properties: Properties | None,
    ) -> None:  # fmt: skip
        self._subscribed = False

    def _on_subscribe(
        self, _client: mqtt.Client, _userdata: object, _mid: int, reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:  # fmt: skip
        if any(reason.is_failure for reason in reasons):
            self._refused = "the broker lets us see no such topic"
            return
        self._subscribed = True

    def _on_message(
        self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage
    ) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            client.ack(message.mid, message.qos)
            return
        size = len(message.payload)
        most = 4 * LONGEST if self._plain or size > MOST_BYTES else size
        payload = bytes(message.payload[:most])
        one = _Arrived(self._connection, message.mid, message.qos, topic, payload, size)
        # Waiting here stops reading from the socket: the broker keeps what does not fit.
        with self._room:
            while self._bytes + len(payload) > WINDOW_BYTES and not self._is_closed:
                self._room.wait(0.5)
            self._bytes += len(payload)
        while not self._is_closed:
            try:
                self._waiting.put(one, timeout=0.5)
            except queue.Full:
                continue
            return
