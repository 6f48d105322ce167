"""A meter's register: litres that never go back, in NVS, and what was counted since.

NVS has the register with the counter's reading at that moment, so that the register now is exact
for as long as the counter lives, whatever becomes of the CPU and of its memory. A counter that
died with its power took along what it had counted since; unless the power failed with a warning,
and all was written before it did, that gap is told.
"""

import struct

import esp32
from micropython import const

from node.config import NAMESPACE

# Flags, upper bits of the register, of what flowed backwards; mark of the counter and its three
# readings; litres for a pulse; place of the wheel; register, backwards in l; the freeze last
# taken, in hours of local time; the journal's next sequence just before it.
_FORMAT = "<BBBBHHHHHBIIII"
_SIZE = const(31)
_CLEAN = const(1)  # written when the power failed, and nothing was counted since
_GAP = const(2)  # pulses may be missing, and no freeze has said so yet
_SURE = const(4)  # this is not the first start of a new meter


class Register:
    """`counter` is a Reeds or a PulseInput; a pulse is `litres`. `gap`: pulses may be missing.

    `resumed`: the power came back before it was lost.
    """

    def __init__(self, litres: int, counter) -> None:
        self._nvs = esp32.NVS(NAMESPACE)
        self._counter = counter
        raw = bytearray(_SIZE)
        try:
            self._nvs.get_blob("reg", raw)
        except OSError:
            pass  # a new meter
        values = struct.unpack(_FORMAT, raw)
        self._flags = values[0]
        self._mark = values[4]
        self._read = list(values[5:8])
        self._litres = values[8]
        self._total = [values[1] << 32 | values[10], values[2] << 32 | values[11]]
        self.slot, self.sequence = values[12:14]
        self.resumed = False
        if not counter.alive(self._mark) or not self._flags:
            if self._flags & (_CLEAN | _SURE) == _SURE:
                self._flags |= _GAP
            place = values[9] if self._flags & _CLEAN else values[9] | 256
            self._begin(place if self._flags else -1, litres)
        elif self._flags & _CLEAN or self._litres != litres or not counter.fits():
            self.resumed = self._flags & _CLEAN != 0
            self.commit()
            if not counter.fits():
                self._begin(-1, litres)
            elif self._litres != litres:
                self._litres = litres
                self.commit()

    @property
    def gap(self) -> bool:
        """Whether pulses may be missing since the freeze last taken."""
        return self._flags & _GAP != 0

    def frozen(self) -> int:
        """All that was counted forwards until the last commit, in l."""
        return self._total[0]

    def litres(self) -> int:
        """All that was counted forwards, in l; it does not roll over."""
        return self._now()[0]

    def backwards(self) -> int:
        """All that was counted backwards, in l."""
        return self._now()[1]

    def commit(self, flags: int = 0) -> None:
        """Write the register as it is now; from here on a power cut does not take it back."""
        read = self._counter.read()
        self._total = self._sum(read)
        self._read = read
        self._flags = self._flags & _GAP | _SURE | flags
        forward, back = self._total
        self._nvs.set_blob(
            "reg",
            struct.pack(
                _FORMAT, self._flags, forward >> 32, back >> 32, 0, self._mark, *read,
                self._litres, self._counter.place(), forward & 0xFFFFFFFF, back & 0xFFFFFFFF,
                self.slot, self.sequence,
            ),
        )  # fmt: skip
        self._nvs.commit()

    def fail(self) -> None:
        """The power is about to fail: write all, and that it is all."""
        self.commit(_CLEAN)

    def freeze(self, slot: int, sequence: int) -> None:
        """Commit with the slot that is being frozen."""
        self.slot, self.sequence = slot, sequence
        self.commit()

    def told(self) -> None:
        """A freeze that is in the journal has told of the gap."""
        self._flags &= ~_GAP
        self.commit()

    def _begin(self, place: int, litres: int) -> None:
        self._mark = self._mark % 0xFFFF + 1
        self._counter.start(self._mark, place)
        self._read = self._counter.read()
        self._litres = litres
        self.commit()

    def _now(self) -> "list[int]":
        return self._sum(self._counter.read())

    def _sum(self, read: "list[int]") -> "list[int]":
        return [
            self._total[n] + (read[n] - self._read[n] & 0xFFFF) * self._litres for n in range(2)
        ]
