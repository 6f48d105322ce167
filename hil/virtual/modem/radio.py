"""What a radio link is to a modem: what it measures, and how long its radio is busy with what.

The links themselves are `nbiot.NbIotLink` and `cat1.Cat1Link`; `air.Air` plays their bursts.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

MAX_TX_DBM = 23  # power class 3, 3GPP TS 36.101 table 6.2.2F-1


@dataclass(frozen=True)
class Cell:
    """What a modem tells of the cell that it camps on.

    `tac` 0..0xFFFF and `ci` 0..0xFFFFFFF are printed in hexadecimal (TS 27.007, 10.1.22).
    """

    tac: int
    ci: int
    pci: int
    earfcn: int
    band: int


@dataclass(frozen=True)
class Signal:
    """dBm and dB, rounded. RSRP as in TS 36.133 table 9.1.4, RSRQ as in table 9.1.7.

    `rssi_dbm` is what +CSQ tells: the level of the module's whole front end. `ecl` is the coverage
    enhancement level 0..2 of NB-IoT, None on Cat 1. `tx_dbm` is the power of the next uplink.
    """

    rssi_dbm: int
    rsrp_dbm: int
    rsrq_db: int
    snr_db: int
    ecl: int | None
    tx_dbm: int

    @property
    def narrow_rssi_dbm(self) -> int:
        """The level of the NB-IoT carrier alone, RSRP / RSRQ (TS 36.214, 5.1.28)."""
        return self.rsrp_dbm - self.rsrq_db

    @property
    def csq(self) -> int:
        """<rssi> of +CSQ, 0..31 (TS 27.007, 8.5)."""
        return max(0, min(31, (self.rssi_dbm + 113) // 2))

    @property
    def cesq_rsrp(self) -> int:
        """<rsrp> of +CESQ, 0..97: -141 + n dBm at least (TS 27.007, 8.69)."""
        return max(0, min(97, self.rsrp_dbm + 141))

    @property
    def cesq_rsrq(self) -> int:
        """<rsrq> of +CESQ, 0..34: -20 + n/2 dB at least (TS 27.007, 8.69)."""
        return max(0, min(34, 2 * (self.rsrq_db + 20)))


@dataclass(frozen=True)
class Burst:
    """One thing for `us` microseconds: "tx" at `dbm`, "rx", or "wait" with the radio off."""

    kind: Literal["tx", "rx", "wait"]
    us: int
    dbm: int = 0


def length_us(bursts: Iterable[Burst]) -> int:
    """How long they take, one behind the other."""
    return sum(burst.us for burst in bursts)


class Link(Protocol):
    """One cell as seen through one coupling loss. The sizes are octets of IP packets."""

    @property
    def signal(self) -> Signal: ...

    @property
    def usable(self) -> bool:
        """Whether the link budget closes at all."""

    @property
    def core_us(self) -> int:
        """One way between the base station and a host on the internet."""

    @property
    def monitoring(self) -> float:
        """Share of connected time without traffic in which the receiver is on, 0..1."""

    def access(self, rng: random.Random) -> list[Burst]:
        """From idle to connected: synchronise, random access, RRC connection."""

    def request(self, rng: random.Random) -> list[Burst]:
        """Connected, but without a grant: ask for one."""

    def uplink(self, octets: int, rng: random.Random) -> list[Burst]:
        """One packet, from its grant to its last acknowledgement."""

    def downlink(self, octets: int, rng: random.Random) -> list[Burst]:
        """One packet, from its assignment to its last acknowledgement."""

    def release(self, rng: random.Random) -> list[Burst]:
        """The RRC connection's release and its acknowledgement."""

    def signalling(self, rounds: int, rng: random.Random) -> list[Burst]:
        """`rounds` NAS messages up, each with its answer, while connected."""
