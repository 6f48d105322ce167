"""An NB-IoT cell through a coupling loss: what its procedures keep the radio busy with.

Stand-alone carrier with the powers and noise figures of 3GPP TR 45.820 (annex C and 7.3); control
plane CIoT optimisation (TS 23.401 clause 5.3.4B): data rides in NAS messages.
"""

import random
from collections.abc import Callable
from functools import cached_property, lru_cache
from math import log10

from hil.virtual.modem import budget
from hil.virtual.modem.budget import Format, ratio
from hil.virtual.modem.radio import MAX_TX_DBM, Burst, Signal

THERMAL_DBM_HZ = -174.0
STATION_DBM = 43.0
STATION_NOISE_DB = 3.0
TERMINAL_NOISE_DB = 5.0
TONE_HZ = 15_000
TONES = 12
# Neighbouring cells on the same carrier stay this far below the serving one (M).
INTERFERENCE_DB = 16.0
LOAD = 0.526  # mean power of the carrier's tones over that of its reference signal
# Between the NB-IoT carrier and all that a module's front end lets through, some 5 MHz (M).
FRONT_END_DB = 14
# Up to which coupling loss a cell uses which level: the three points of TR 45.820.
LEVELS_DB = (144.0, 154.0)
# By level: preamble repetitions of 6.4 ms, and the period of the preamble's resources, ms (M).
PREAMBLES = ((2, 160), (8, 320), (32, 640))
PREAMBLE_MS = 6.4
COLLISION = 0.05  # random access attempts that have to be made again
BLOCK_ERRORS = (0.1, 0.01)  # the operating point, and once more with combined energy
CONTROL_PERIOD = 2  # a search space's period over its length: G of TS 36.213 clause 16.6
# Open-loop power control (TS 36.213, 16.2.1.1): wanted power per tone at the base station.
WANTED_DBM = -105.0
# Octets around an IP packet: NAS security, ESM data transport and RRC; then RLC and MAC a block.
PACKET_OCTETS = 16
BLOCK_OCTETS = 5
MORE_BLOCKS = 4  # than need be, which a scheduler may split a packet into
STATUS_OCTETS = 4  # of RLC's acknowledged mode
MESSAGE_3_BITS = 88
MESSAGE_4_BITS = 176  # contention resolution and RRCConnectionSetup-NB
RANDOM_ACCESS_ANSWER_BITS = 56
RELEASE_OCTETS = 18  # RRCConnectionRelease-NB with the MME's service accept
NAS_OCTETS = 60
GOOD_DB = 122.0  # RSRP -90 dBm
POOR_DB = 154.0  # RSRP -122 dBm
CONTEXT_RELEASE_MS = 60  # MME and base station agree on the release


class NbIotLink:
    """`coupling_loss_db` between the antenna ports: path, walls, antennas and cables."""

    monitoring = 1 / CONTROL_PERIOD
    core_us = 40_000

    def __init__(self, coupling_loss_db: float) -> None:
        self.coupling_loss_db = coupling_loss_db
        # Received power over noise density, in dBHz.
        self._up_db = MAX_TX_DBM - coupling_loss_db - THERMAL_DBM_HZ - STATION_NOISE_DB
        alone_db = STATION_DBM - coupling_loss_db - THERMAL_DBM_HZ - TERMINAL_NOISE_DB
        snr = ratio(alone_db) / (TONE_HZ * TONES)
        self._snr_db = 10 * log10(1 / (1 / snr + ratio(-INTERFERENCE_DB)))
        self._down_db = self._snr_db + 10 * log10(TONE_HZ * TONES)
        self.ecl = sum(coupling_loss_db > limit for limit in LEVELS_DB)

    @property
    def usable(self) -> bool:
        """The largest block still closes in both directions."""
        return (
            budget.uplink(budget.UPLINK_BLOCK_MOST, self._up_db) is not None
            and budget.downlink(budget.DOWNLINK_BLOCK_MOST, self._down_db) is not None
            and budget.control(self._down_db) is not None
        )

    @cached_property
    def signal(self) -> Signal:
        """RSRP is of one tone; RSRQ falls with noise and interference (TS 36.214, 5.1.26 ff.)."""
        rsrp = STATION_DBM - 10 * log10(TONES) - self.coupling_loss_db
        rsrq = -10 * log10(TONES * (LOAD + ratio(-self._snr_db) - ratio(-INTERFERENCE_DB)))
        return Signal(
            rssi_dbm=round(rsrp) - round(rsrq) + FRONT_END_DB,
            rsrp_dbm=round(rsrp),
            rsrq_db=round(rsrq),
            snr_db=round(self._snr_db),
            ecl=self.ecl,
            tx_dbm=self._power(1, 1),
        )

    def access(self, rng: random.Random) -> list[Burst]:
        """NPSS, NSSS and MIB, then random access up to RRCConnectionSetup-NB."""
        bursts = self._synchronise()
        while True:
            bursts += self._preamble(rng)
            bursts += self._send(MESSAGE_3_BITS, rng)
            bursts += [Burst("wait", 20_000), *self._receive(MESSAGE_4_BITS, rng)]
            if rng.random() >= COLLISION:
                return bursts

    def request(self, rng: random.Random) -> list[Burst]:
        """A connected terminal has no other way to ask for a grant (Rel-13) than the preamble."""
        return self._preamble(rng)

    def uplink(self, octets: int, rng: random.Random) -> list[Burst]:
        """NPUSCH blocks, each with its grant, and RLC's status at the end."""
        bursts: list[Burst] = []
        for bits in self._uplink_blocks(octets + PACKET_OCTETS):
            bursts += [*self._control(), Burst("wait", 8_000), *self._send(bits, rng)]
        return bursts + self._receive(8 * (STATUS_OCTETS + BLOCK_OCTETS), rng)

    def downlink(self, octets: int, rng: random.Random) -> list[Burst]:
        """NPDSCH blocks, each with its assignment and acknowledgement, and RLC's status."""
        bursts: list[Burst] = []
        for bits in self._downlink_blocks(octets + PACKET_OCTETS):
            bursts += self._receive(bits, rng)
        status = 8 * (STATUS_OCTETS + BLOCK_OCTETS)
        return [*bursts, *self._control(), Burst("wait", 8_000), *self._send(status, rng)]

    def release(self, rng: random.Random) -> list[Burst]:
        """What ends the connection."""
        bits = 8 * (RELEASE_OCTETS + BLOCK_OCTETS)
        return [Burst("wait", CONTEXT_RELEASE_MS * 1000), *self._receive(bits, rng)]

    def signalling(self, rounds: int, rng: random.Random) -> list[Burst]:
        """NAS messages of some 60 octets each way."""
        bursts: list[Burst] = []
        for _ in range(rounds):
            bursts += self.uplink(NAS_OCTETS, rng)
            bursts += [Burst("wait", 2 * self.core_us), *self.downlink(NAS_OCTETS, rng)]
        return bursts

    def _uplink_blocks(self, octets: int) -> tuple[int, ...]:
        return _blocks(octets, budget.UPLINK_BLOCK_MOST, self._up_db, budget.uplink)

    def _downlink_blocks(self, octets: int) -> tuple[int, ...]:
        return _blocks(octets, budget.DOWNLINK_BLOCK_MOST, self._down_db, budget.downlink)

    def _power(self, tones: int, repeats: int) -> int:
        if repeats > 2:
            return MAX_TX_DBM
        wanted = WANTED_DBM + self.coupling_loss_db + 10 * log10(tones)
        return min(MAX_TX_DBM, round(wanted))

    def _synchronise(self) -> list[Burst]:
        # One NPSS has 121 symbols (21 dB); 15 dB are needed for detection, 5.8 dB for fading and
        # 6 dB are lost to combining over an unknown frequency. NSSS comes every 20 ms.
        frames = max(2, round(0.5 + ratio(15 + 5.8 + 6 - 21 - self._snr_db)))
        # 50 bits of the MIB, one subframe in ten.
        mib = budget.downlink(56, self._down_db)
        subframes = mib.us // 1000 if mib is not None else 64
        return [Burst("rx", frames * 10_000 + frames * 10_000 + subframes * 10_000)]

    def _preamble(self, rng: random.Random) -> list[Burst]:
        repeats, period_ms = PREAMBLES[self.ecl]
        power = MAX_TX_DBM if self.ecl else self._power(1, 1)
        return [
            Burst("wait", int(rng.uniform(0, period_ms) * 1000)),
            Burst("tx", int(repeats * PREAMBLE_MS * 1000), power),
            Burst("wait", 4_000),
            *self._control(),
            Burst("wait", 5_000),
            *self._listen(RANDOM_ACCESS_ANSWER_BITS),
            Burst("wait", 12_000),
        ]

    def _control(self) -> list[Burst]:
        # A DCI comes, on average, half a period after it is wanted.
        found = budget.control(self._down_db)
        us = int((found.us if found is not None else 2_048_000) / budget.DOWNLINK_SHARE)
        wait = max(4_000, us * CONTROL_PERIOD) // 2
        share = us / max(4_000, us * CONTROL_PERIOD)
        return [Burst("rx", int(us + wait * share)), Burst("wait", int(wait * (1 - share)))]

    def _listen(self, bits: int) -> list[Burst]:
        found = budget.downlink(bits, self._down_db)
        us = found.us if found is not None else 10_240_000
        return [Burst("rx", int(us / budget.DOWNLINK_SHARE))]

    def _receive(self, bits: int, rng: random.Random) -> list[Burst]:
        answer = budget.acknowledgement(self._up_db)
        once = [
            *self._control(),
            Burst("wait", 5_000),
            *self._listen(bits),
            Burst("wait", 12_000),
            Burst("tx", answer.us, self._power(1, answer.repeats)),
        ]
        return once * _tries(rng)

    def _send(self, bits: int, rng: random.Random) -> list[Burst]:
        found = budget.uplink(bits, self._up_db) or budget.Format(81_920_000, 1, 128)
        once = [Burst("tx", found.us, self._power(found.tones, found.repeats))]
        gaps = found.us // 256_000  # 40 ms after each 256 ms (TS 36.211, 10.1.3.6)
        if gaps:
            once.append(Burst("wait", gaps * 40_000))
        again = [*self._control(), Burst("wait", 8_000), *once]
        return once + again * (_tries(rng) - 1)


def _tries(rng: random.Random) -> int:
    tries = 1
    for errors in BLOCK_ERRORS:
        if rng.random() >= errors:
            break
        tries += 1
    return tries


@lru_cache(maxsize=1024)
def _blocks(
    octets: int, most_bits: int, density_db: float, channel: Callable[[int, float], Format | None]
) -> tuple[int, ...]:
    """Bits of the blocks that carry `octets`: even, and as many as take the least time.

    Small blocks have less to repeat and large ones fewer headers: a scheduler weighs them.
    """
    least = -(-octets // (most_bits // 8 - BLOCK_OCTETS))
    best: tuple[float, tuple[int, ...]] | None = None
    for count in range(least, least + MORE_BLOCKS):
        bits = 8 * (-(-octets // count) + BLOCK_OCTETS)
        found = channel(bits, density_db)
        us = count * (found.us if found is not None else 1e12)
        if best is None or us < best[0]:
            best = us, (bits,) * count
    return best[1] if best is not None else ()
