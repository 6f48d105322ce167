"""An LTE Cat 1 cell of 5 MHz through a coupling loss: its rates and what keeps the radio busy."""

import random
from functools import cached_property
from math import log2, log10

from hil.virtual.modem.budget import ratio
from hil.virtual.modem.radio import MAX_TX_DBM, Burst, Signal

THERMAL_DBM_HZ = -174.0
STATION_DBM = 46.0
STATION_NOISE_DB = 3.0
TERMINAL_NOISE_DB = 9.0  # TR 36.888, 5.2.1
BLOCK_HZ = 180_000  # one resource block
BLOCKS = 25
CARRIERS = 12 * BLOCKS
CARRIER_HZ = 15_000
INTERFERENCE_DB = 16.0  # as in nbiot
LOAD = 0.526
# What real transmissions lose against Shannon's bound, without the diversity of repetitions.
UPLINK_GAP_DB = 6.0
DOWNLINK_GAP_DB = 9.0
UPLINK_MOST = 5_160  # bits of a millisecond, category 1 (TS 36.306 table 4.1-2)
DOWNLINK_MOST = 10_296
SHARE = 0.4  # of the carrier's blocks that one terminal gets
USABLE_DB = -7.0  # synchronisation and the broadcast channel end there
LEAST_BITS = 16  # of a millisecond on one block, with HARQ combining
BLOCK_ERRORS = (0.1, 0.01)
COLLISION = 0.02
# Fractional power control (TS 36.213, 5.1.1.1): wanted power per block, and path loss's share.
WANTED_DBM = -85.0
COMPENSATION = 0.8
HEADER_OCTETS = 10  # PDCP, RLC and MAC
HARQ_US = 8_000
GRANT_US = 8_000  # from the scheduling request to the grant's subframe
NAS_OCTETS = 60
GOOD_DB = 111.0  # RSRP -90 dBm
POOR_DB = 141.0  # RSRP -120 dBm


class Cat1Link:
    """`coupling_loss_db` between the antenna ports: path, walls, antennas and cables."""

    monitoring = 0.3  # connected DRX, some on-durations of 40 ms and its inactivity timer (M)
    core_us = 20_000

    def __init__(self, coupling_loss_db: float) -> None:
        self.coupling_loss_db = coupling_loss_db
        self._rsrp_dbm = STATION_DBM - 10 * log10(CARRIERS) - coupling_loss_db
        noise_dbm = THERMAL_DBM_HZ + TERMINAL_NOISE_DB + 10 * log10(CARRIER_HZ)
        snr = ratio(self._rsrp_dbm - noise_dbm)
        self._snr_db = 10 * log10(1 / (1 / snr + ratio(-INTERFERENCE_DB)))
        block_dbm = WANTED_DBM + COMPENSATION * coupling_loss_db
        # As many blocks as full power feeds at the wanted level, at least one.
        self._blocks = max(1, min(int(SHARE * BLOCKS), int(ratio(MAX_TX_DBM - block_dbm))))
        self._tx_dbm = min(MAX_TX_DBM, round(block_dbm + 10 * log10(self._blocks)))

    @property
    def usable(self) -> bool:
        """Down by the receiver's sensitivity, up by what one block carries."""
        return self._snr_db > USABLE_DB and self._up_bits >= LEAST_BITS

    @cached_property
    def signal(self) -> Signal:
        """RSSI is over the whole carrier (TS 36.214, 5.1.1 and 5.1.3)."""
        rsrq = -10 * log10(12 * (LOAD + ratio(-self._snr_db) - ratio(-INTERFERENCE_DB)))
        rsrp = round(self._rsrp_dbm)
        return Signal(
            rssi_dbm=rsrp - round(rsrq) + round(10 * log10(BLOCKS)),
            rsrp_dbm=rsrp,
            rsrq_db=round(rsrq),
            snr_db=round(self._snr_db),
            ecl=None,
            tx_dbm=self._tx_dbm,
        )

    @cached_property
    def _up_bits(self) -> int:
        # Of one millisecond.
        hertz = BLOCK_HZ * self._blocks
        noise_dbm = THERMAL_DBM_HZ + STATION_NOISE_DB + 10 * log10(hertz)
        snr = ratio(self._tx_dbm - self.coupling_loss_db - noise_dbm - UPLINK_GAP_DB)
        return min(UPLINK_MOST, int(hertz / 1000 * log2(1 + snr)))

    @cached_property
    def _down_bits(self) -> int:
        snr = ratio(self._snr_db - DOWNLINK_GAP_DB)
        return min(DOWNLINK_MOST, max(1, int(SHARE * BLOCKS * BLOCK_HZ / 1000 * log2(1 + snr))))

    def access(self, rng: random.Random) -> list[Burst]:
        """Synchronise, random access, connection set-up, security and the data bearer."""
        bursts = [Burst("rx", 30_000)]
        while True:
            bursts += [Burst("wait", rng.randrange(10_000)), Burst("tx", 1_000, self._tx_dbm)]
            bursts += [Burst("rx", 8_000), *self._send(11, rng), *self._receive(40, rng)]
            if rng.random() >= COLLISION:
                break
        bursts += self._send(60, rng)  # set-up complete with the service request
        for _ in range(2):  # security mode, reconfiguration
            bursts += [Burst("rx", 10_000), *self._receive(40, rng), *self._send(12, rng)]
        return bursts

    def request(self, rng: random.Random) -> list[Burst]:
        """A scheduling request on PUCCH, every 10 ms."""
        return [Burst("rx", rng.randrange(10_000) + GRANT_US)]

    def uplink(self, octets: int, rng: random.Random) -> list[Burst]:
        """PUSCH, with retransmissions."""
        return [Burst("rx", GRANT_US), *self._send(octets, rng)]

    def downlink(self, octets: int, rng: random.Random) -> list[Burst]:
        """PDSCH, with retransmissions, and the acknowledgement on PUCCH."""
        return self._receive(octets, rng)

    def release(self, rng: random.Random) -> list[Burst]:
        """RRCConnectionRelease."""
        return [Burst("rx", 20_000), *self._receive(10, rng)]

    def signalling(self, rounds: int, rng: random.Random) -> list[Burst]:
        """NAS messages of some 60 octets each way."""
        bursts: list[Burst] = []
        for _ in range(rounds):
            bursts += self.uplink(NAS_OCTETS, rng)
            bursts += [Burst("rx", 2 * self.core_us), *self.downlink(NAS_OCTETS, rng)]
        return bursts

    def _send(self, octets: int, rng: random.Random) -> list[Burst]:
        ms = -(-8 * (octets + HEADER_OCTETS) // max(1, self._up_bits))
        once = Burst("tx", 1000 * ms, self._tx_dbm)
        return [once, *[Burst("rx", HARQ_US), once] * _again(rng)]

    def _receive(self, octets: int, rng: random.Random) -> list[Burst]:
        ms = -(-8 * (octets + HEADER_OCTETS) // self._down_bits)
        once = [
            Burst("rx", 1000 * ms),
            Burst("rx", 4_000),
            Burst("tx", 1_000, self._tx_dbm),
        ]
        return once + once * _again(rng)


def _again(rng: random.Random) -> int:
    again = 0
    for errors in BLOCK_ERRORS:
        if rng.random() >= errors:
            break
        again += 1
    return again
