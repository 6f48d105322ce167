"""MQTT clients for broker tests: paho over TLS with an inbox, and one that sends raw packets."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PATIENCE = 60.0  # s; a deadline, not a wait


class Credential(NamedTuple):
    """What a client holds: PEM files, the CN that it claims and its serial number."""

    cn: str
    certificate: Path | None
    key: Path | None
    serial: int = 0


class Client:
    """A paho client that never reconnects by itself and keeps all that it receives."""

    def __init__(
        self,
        port: int,
        ca: Path,
        credential: Credential,
        client_id: str | None = None,
        *,
        clean: bool = True,
        keepalive: int = 30,
        will: tuple[str, bytes, bool] | None = None,
    ) -> None:
        self.credential = credential
        self.inbox: list[tuple[str, bytes]] = []
        self.accepted = False
        self.ended = threading.Event()
        self._changed = threading.Condition()
        self._answered = threading.Event()
        self._acknowledged: set[int] = set()
        self._at = port, keepalive
        self._mqtt = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=credential.cn if client_id is None else client_id,
            clean_session=clean,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        context = ssl.create_default_context(cafile=str(ca))
        if credential.certificate:
            context.load_cert_chain(credential.certificate, credential.key)
        self._mqtt.tls_set_context(context)
        if will:
            self._mqtt.will_set(will[0], will[1], qos=1, retain=will[2])
        # Otherwise each connection waits 40 ms for a delayed acknowledgement of TCP.
        self._mqtt.on_socket_open = _send_at_once
        self._mqtt.on_connect = self._on_connect
        self._mqtt.on_disconnect = self._on_disconnect
        self._mqtt.on_message = self._on_message
        self._mqtt.on_subscribe = self._on_acknowledged
        self._mqtt.on_publish = self._on_acknowledged
        self._mqtt.on_unsubscribe = self._on_acknowledged

    def connect(self) -> bool:
        """Whether the broker accepts; a refusal by TLS, by CONNACK or by silence is False."""
        port, keepalive = self._at
        try:
            self._mqtt.connect("localhost", port, keepalive)
        except (OSError, ValueError):
            self.ended.set()
            return False
        self._mqtt.loop_start()
        self._answered.wait(PATIENCE)
        return self.accepted

    def subscribe(self, topic: str) -> None:
        """Ask, and wait for the answer or the end of the connection; whatever it says."""
        self._settle(self._mqtt.subscribe(topic, 1)[1])

    def unsubscribe(self, topic: str) -> None:
        """Give up a subscription, and wait for the answer."""
        self._settle(self._mqtt.unsubscribe(topic)[1])

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Send, and for QoS 1 wait for the answer or the end of the connection."""
        message = self._mqtt.publish(topic, payload, qos, retain)
        if qos:
            self._settle(message.mid)

    def receives(self, payload: bytes, seconds: float = PATIENCE) -> bool:
        """Wait until a message with this payload has come."""
        with self._changed:
            return self._changed.wait_for(lambda: self.has(payload), seconds)

    def has(self, payload: bytes) -> bool:
        """Whether a message with this payload has come."""
        return any(data == payload for _, data in self.inbox)

    def vanish(self) -> None:
        """Cut the connection without DISCONNECT, so that a will is due."""
        with suppress(OSError, AttributeError):
            self._mqtt.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self.ended.wait(PATIENCE)

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._mqtt.disconnect()
        self._mqtt.loop_stop()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _settle(self, mid: int | None) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: mid in self._acknowledged or self.ended.is_set(), PATIENCE
            )

    def _on_connect(self, *args: Any) -> None:
        self.accepted = not args[3].is_failure
        self._answered.set()

    def _on_disconnect(self, *_: Any) -> None:
        self.ended.set()
        self._answered.set()
        with self._changed:
            self._changed.notify_all()

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.inbox.append((message.topic, bytes(message.payload)))
            self._changed.notify_all()

    def _on_acknowledged(self, _client: Any, _data: Any, mid: int, *_: Any) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify_all()


def _send_at_once(_client: mqtt.Client, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def text(value: str | bytes) -> bytes:
    """An MQTT string: two bytes of length, then the bytes."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes) -> bytes:
    """A control packet with this first byte."""
    length, n = b"", len(body)
    while True:
        n, low = n >> 7, n & 0x7F
        length += bytes((low | (0x80 if n else 0),))
        if not n:
            return bytes((first,)) + length + body


def connect_packet(client_id: str, keepalive: int = 30) -> bytes:
    """A plain CONNECT of MQTT 3.1.1 with a clean session."""
    return packet(
        0x10, text("MQTT") + b"\x04\x02" + keepalive.to_bytes(2, "big") + text(client_id)
    )


class RawClient:
    """A TLS connection that sends any bytes, for packets that paho refuses to build."""

    def __init__(self, port: int, ca: Path, credential: Credential) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        if credential.certificate:
            context.load_cert_chain(credential.certificate, credential.key)
        tcp = socket.create_connection(("localhost", port), timeout=PATIENCE)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = context.wrap_socket(tcp, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        """Send; a connection that the broker has ended is no error here."""
        with suppress(OSError):
            self._tls.sendall(data)

    def connect(self, client_id: str, keepalive: int = 30) -> bool:
        """CONNECT, and whether the CONNACK accepts."""
        self.send(connect_packet(client_id, keepalive))
        return self.read(4) == b"\x20\x02\x00\x00"

    def read(self, n: int) -> bytes:
        """Up to `n` bytes; fewer at the end of the connection."""
        data = b""
        with suppress(OSError):
            while len(data) < n:
                more = self._tls.recv(n - len(data))
                if not more:
                    break
                data += more
        return data

    def ends(self, seconds: float = PATIENCE) -> bool:
        """Whether the broker ends the connection in time; what it sends before is dropped."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            self._tls.settimeout(left)
            try:
                if not self._tls.recv(4096):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def close(self) -> None:
        """Close without DISCONNECT."""
        self._tls.close()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
