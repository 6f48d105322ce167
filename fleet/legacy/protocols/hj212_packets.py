"""HJ 212 data that is too long for one packet: split into several, and joined again."""

from dataclasses import replace

from fleet.legacy.protocols.hj212 import MAX_DATA, OVERHEAD, Groups, Packet, encode
from fleet.legacy.protocols.hj212_data import MAX_CP

MAX_PARTS = 256  # packets of one message that are kept
MAX_OPEN = 8  # messages of one connection that are not whole


def split(packet: Packet, limit: int = MAX_CP) -> list[Packet]:
    """The same data in packets of up to `limit` bytes of CP each, cut between items.

    Each begins with the data time, as in table C.49 of the standard. One packet stays as it is;
    ValueError where a single item is longer.
    """
    bare = replace(packet, groups=(), pnum=9999, pno=9999)
    limit = min(limit, MAX_DATA - (len(encode(bare)) - OVERHEAD))
    if _size(packet.groups) <= limit:
        return [packet]
    first = [group for group in packet.groups if group and group[0][0] == "DataTime"][:1]
    parts: list[list[tuple[tuple[str, str], ...]]] = [list(first)]
    for group in packet.groups:
        if first and group is first[0]:
            continue
        if _size((*parts[-1], group)) > limit:
            parts.append(list(first))
        parts[-1].append(group)
        if _size(tuple(parts[-1])) > limit:
            raise ValueError(f"an item of CP has more than {limit} bytes: {group[0][0]}")
    flag = (packet.flag or 0) | 2
    return [
        replace(packet, groups=tuple(part), flag=flag, pnum=len(parts), pno=number)
        for number, part in enumerate(parts, 1)
    ]


class Assembler:
    """Joins the packets of one connection. Bounded: what is oldest and not whole is given up."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, str, int], dict[int, Packet]] = {}

    def take(self, packet: Packet) -> Packet | None:
        """The message that this packet makes whole, or the packet itself when it has no number.

        None while others are missing. A packet that comes again takes the place of the first; one
        with another data time begins a new message. More than MAX_PARTS are never joined.
        """
        if packet.pnum is None or packet.pno is None or packet.pnum == 1:
            return packet
        if packet.pnum > MAX_PARTS:
            return None
        key = (packet.mn, packet.cn, packet.st, packet.pnum)
        parts = self._open.pop(key, {})
        if parts and _data_time(next(iter(parts.values()))) != _data_time(packet):
            parts = {}
        parts[packet.pno] = packet
        if len(parts) == packet.pnum:
            return _joined([parts[number] for number in sorted(parts)])
        self._open[key] = parts  # the newest last
        while len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]
        return None


def _joined(parts: list[Packet]) -> Packet:
    groups: list[tuple[tuple[str, str], ...]] = []
    for part in parts:
        for group in part.groups:
            if group and group[0][0] == "DataTime" and group in groups:
                continue
            groups.append(group)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    flag = None if parts[0].flag is None else parts[0].flag & ~2
    return replace(parts[0], groups=tuple(groups), flag=flag, pnum=None, pno=None, notes=notes)


def _data_time(packet: Packet) -> str | None:
    return packet.get("DataTime")


def _size(groups: Groups) -> int:
    return len(";".join(",".join(f"{k}={v}" for k, v in group) for group in groups).encode())
