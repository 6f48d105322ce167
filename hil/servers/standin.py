"""A stand-in for the fleet's broker and the fleet behind it: MQTT 3.1.1 over TLS, with manners
that a test chooses.
"""

import socket
import ssl
from collections.abc import Collection
from typing import NamedTuple

from fleet.wire import receipt, report
from hil.servers import packets
from hil.servers.front import Visit

ANSWERS = ("CONNACK", "SUBACK", "PUBACK", "RECEIPT")
RECORD = 16_384  # bytes: the most that TLS lets one record carry (RFC 8446, 5.1)
_IDLE = 1024  # bytes of a message that nobody asked for


class Packet(NamedTuple):
    """One that a node sent: `flags` are the lower four bits of its first byte."""

    kind: str
    flags: int
    body: bytes

    @property
    def topic(self) -> str:
        """Of a PUBLISH."""
        return self.body[2 : 2 + int.from_bytes(self.body[:2], "big")].decode()

    @property
    def payload(self) -> bytes:
        """Of a PUBLISH."""
        at = 2 + int.from_bytes(self.body[:2], "big")
        return self.body[at + (2 if self.flags & 6 else 0) :]

    @property
    def keep_alive_s(self) -> int:
        """Of a CONNECT (MQTT 3.1.1, 3.1.2.10)."""
        return int.from_bytes(self.body[8:10], "big")


class StandIn:
    """Host of a front. It leaves out the answers `without`, hangs up behind its answer
    `ends_with`, says `code` in its CONNACK, gives the `items` with each of its receipts, and with
    `large_record` sends its receipt behind a record of TLS that is as large as one can be.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        without: Collection[str] = (),
        ends_with: str = "",
        code: int = 0,
        items: list[tuple[int, int, bytes | int]] | tuple[()] = (),
        large_record: bool = False,
    ) -> None:
        assert {*without, ends_with} <= {*ANSWERS, ""}  # noqa: S101  a test's slip
        self._context = context
        self._without = frozenset(without)
        self._ends_with = ends_with
        self._code = code
        self._items = items
        self._ahead = large_record
        self.packets: list[Packet] = []

    def of(self, kind: str) -> list[Packet]:
        """What came of that kind, on all connections."""
        return [packet for packet in self.packets if packet.kind == kind]

    @property
    def reports(self) -> list[report.Report]:
        """What the node reported, on all connections."""
        sent = [packet for packet in self.of("PUBLISH") if packet.topic.endswith("/up/report")]
        return [report.decode(packet.payload) for packet in sent]

    @property
    def records(self) -> list[tuple[int, int]]:
        """(epoch, sequence) of each record that came, as often as it came."""
        return [(told.epoch, one.sequence) for told in self.reports for one in told.records]

    def receive(self, line: socket.socket, visit: Visit) -> None:
        """As Host."""
        with self._context.wrap_socket(line, server_side=True) as secure:
            visit.secured = True
            while (packet := _read(secure)) is not None:
                visit.heard += len(packet.body)
                self.packets.append(packet)
                for answer, data in self._answers(packet):
                    if answer not in self._without:
                        packets.mqtt_sent(data)
                        secure.sendall(data)
                        if answer == self._ends_with:
                            return

    def _answers(self, packet: Packet) -> list[tuple[str, bytes]]:
        if packet.kind == "CONNECT":
            return [("CONNACK", bytes((0x20, 2, 0, self._code)))]
        if packet.kind == "SUBSCRIBE":
            return [("SUBACK", b"\x90\x03" + packet.body[:2] + b"\x00")]
        if packet.kind == "PINGREQ":
            return [("PINGRESP", b"\xd0\x00")]
        if packet.kind != "PUBLISH":
            return []
        answers = []
        if packet.flags & 6:
            at = 2 + int.from_bytes(packet.body[:2], "big")
            answers.append(("PUBACK", b"\x40\x02" + packet.body[at : at + 2]))
        if packet.topic.endswith("/up/report"):
            answers.append(("RECEIPT", self._receipt(packet)))
        return answers

    def _receipt(self, packet: Packet) -> bytes:
        told = report.decode(packet.payload)
        numbers = sorted(record.sequence for record in told.records)
        ranges: list[tuple[int, int]] = []
        for number in numbers:
            if ranges and number == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], number)
            else:
                ranges.append((number, number))
        node = packet.topic.split("/")[1]
        said = receipt.encode(told.epoch if ranges else 0, ranges, self._items)
        message = _publish(f"k1/{node}/down/receipt", said)
        return _idle(f"k1/{node}/down/idle") + message if self._ahead else message


def _idle(topic: str) -> bytes:
    """Messages of no meaning that fill a record of TLS exactly."""
    head = 1 + 2 + 2 + len(topic)  # of this size the length takes two bytes
    return _publish(topic, bytes(_IDLE - head)) * (RECORD // _IDLE)


def _publish(topic: str, payload: bytes) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + payload
    size, length = len(body), b""
    while True:
        size, low = size >> 7, size & 127
        length += bytes((low | (128 if size else 0),))
        if not size:
            return b"\x30" + length + body


def _read(secure: ssl.SSLSocket) -> Packet | None:
    head = _exactly(secure, 1)
    if not head:
        return None
    size = 0
    for shift in (0, 7, 14, 21):
        (byte,) = _exactly(secure, 1) or b"\x00"
        size |= (byte & 127) << shift
        if byte < 128:
            break
    kind, body = packets.kind(head[0]), _exactly(secure, size)
    packets.mqtt(packets.CAME, head[0], body)
    return Packet(kind, head[0] & 15, body)


def _exactly(secure: ssl.SSLSocket, count: int) -> bytes:
    """So many bytes; fewer where the connection ends before."""
    data = b""
    while len(data) < count:
        more = secure.recv(count - len(data))
        if not more:
            break
        data += more
    return data
