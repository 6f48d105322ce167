"""The report's encoder: columns of differences in as few bits as they take (docs/protocol.md).

A node loads it for a moment only: `encode` is all that it needs of it.
"""

from . import cbor
from .uplink import VERSION


def encode(epoch: int, sent: int, bodies: "list[tuple[int, bytes]]", status: dict) -> bytes:  # type: ignore[type-arg]
    """A report from (sequence, body bytes) pairs, oldest first."""
    out = _Bits(VERSION)
    out.put(epoch, 32)
    out.put(sent, 32)
    out.number(len(bodies), 0)
    if bodies:
        records = [cbor.decode(body) for _, body in bodies]
        out.number(bodies[0][0] - 1, 10)
        _column(out, [n for n, _ in bodies], 1, 0)
        times = [record[0] for record in records]  # type: ignore[index]
        out.number(zigzag(sent - times[-1]), 6)
        _column(out, times, 0, 8)
        qualities = [record[1] for record in records]  # type: ignore[index]
        out.put(qualities[0], 2)
        _column(out, qualities, 0, 0)
        _runs(out, records)
    out.number(len(status), 0)
    last = -1
    for key in sorted(status):
        out.number(key - last - 1, 0)
        value = status[key]
        out.number(value if value >= 0 else value + (1 << 64), 2)
        last = key
    return out.close()


def zigzag(n: int) -> int:
    """0, -1, 1, -2, 2 ... as 0, 1, 2, 3, 4 ..."""
    return 2 * n if n >= 0 else -2 * n - 1


class _Bits:
    # Most significant bit first.

    def __init__(self, first: int) -> None:
        self._out = bytearray((first,))
        self._rest = 0
        self._size = 0  # bits in _rest

    def put(self, n: int, width: int) -> None:
        rest = self._rest << width | n
        size = self._size + width
        while size >= 8:
            size -= 8
            self._out.append(rest >> size & 255)
        self._rest = rest & (1 << size) - 1
        self._size = size

    def number(self, n: int, order: int) -> None:
        # Exponential Golomb code: as many zeros as behind the first one, then `order` bits.
        high = (n >> order) + 1
        self.put(high, 2 * _length(high) - 1)
        self.put(n & (1 << order) - 1, order)

    def close(self) -> bytes:
        self.put(0, -self._size % 8)
        return bytes(self._out)


def _length(n: int) -> int:
    size = 0
    while n:
        n >>= 1
        size += 1
    return size


def _column(out: _Bits, values: "list[int]", least: int, order: int) -> None:
    # The differences of `values`, none below `least` where that is 1; `order` is that of a step.
    steps = [values[i] - values[i - 1] - least for i in range(1, len(values))]
    if not steps:
        return
    if min(steps) == max(steps):
        out.put(0, 1)  # all alike
        out.number(steps[0] if least else zigzag(steps[0]), order)
        return
    if min(steps) >= 0:
        out.put(0b10, 2)  # none below the least
    else:
        out.put(0b11, 2)  # of either sign
        steps = [zigzag(step) for step in steps]
    # An order about the size of the mean is the best one, or next to it.
    middle = min(_length(sum(steps) // len(steps)), 29)
    best = fewest = -1
    for near in range(max(middle - 2, 0), middle + 2):
        bits = 0
        for step in steps:
            bits += 2 * _length((step >> near) + 1) - 1 + near
        if best < 0 or bits < fewest:
            best, fewest = near, bits
    out.put(best, 5)
    for step in steps:
        out.number(step, best)


def _runs(out: _Bits, records: list) -> None:  # type: ignore[type-arg]
    # Neighbours with the same quantities: those once, then a column for each.
    first = 0
    while first < len(records):
        quantities = records[first][2::2]
        end = first + 1
        while end < len(records) and records[end][2::2] == quantities:
            end += 1
        if end == len(records):
            out.put(1, 1)
        else:
            out.put(0, 1)
            out.number(end - first - 1, 0)
        out.number(len(quantities) - 1, 0)
        for i, quantity in enumerate(quantities):
            out.number(quantity - 1, 3)
            values = [record[3 + 2 * i] for record in records[first:end]]
            _values(out, values)
        first = end


def _values(out: _Bits, values: "list[int]") -> None:
    # A register moves in tens or hundreds: the zeros at the end, common to all, are left out.
    zeros = 0
    while any(values) and not any(value % 10 for value in values):
        values = [value // 10 for value in values]
        zeros += 1
    out.number(zeros, 0)
    out.number(zigzag(values[0]), 16)
    _column(out, values, 0, 8)
