"""How long NB-IoT's channels take for a block of bits at a given signal-to-noise density.

Physics only: Shannon's bound at the received energy, less what real receivers lose, laid out in
the transport blocks and repetitions that 3GPP TS 36.213 clause 16 allows. No number here is fitted
to a measured or published energy.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log2, log10, sqrt

CRC_BITS = 24
CONTROL_BITS = 23 + 16  # DCI format N0 or N1 and its CRC
# What receivers lose against Shannon's bound, dB: the code at a few hundred bits (turbo up, tail
# biting convolutional down), and channel estimation from reference symbols far below 0 dB.
UPLINK_LOSS_DB = 1.8 + 3.1
DOWNLINK_LOSS_DB = 3.0 + 3.0
# Rayleigh fading at a Doppler spread of 1 Hz, as TR 45.820 simulates it. Two branches fade
# independently: the base station's receive antennas, which add up, and its transmit antennas.
COHERENCE_S = 0.42
BRANCHES = 2
UPLINK_ARRAY_DB = 3.0
# Normal quantiles of the error rates that blocks and control are sent for.
TEN_PERCENT = -1.2816
ONE_PERCENT = -2.3263
# Subframes that are not for NPDSCH and NPDCCH: NPSS 1/10, NPBCH 1/10, NSSS 1/20, SIB1-NB 1/20.
DOWNLINK_SHARE = 0.7
MOTHER_RATE = 1 / 3

# Transport block sizes by I_TBS 0..12 and by 1, 2, 3, 4, 5, 6, 8, 10 resource units or subframes
# (TS 36.213 tables 16.5.1.2-2 and 16.4.1.5.1-1, which agree up to their largest block).
_UNITS = (1, 2, 3, 4, 5, 6, 8, 10)
_BLOCKS = (
    (16, 32, 56, 88, 120, 152, 208, 256),
    (24, 56, 88, 144, 176, 208, 256, 344),
    (32, 72, 144, 176, 208, 256, 328, 424),
    (40, 104, 176, 208, 256, 328, 440, 568),
    (56, 120, 208, 256, 328, 408, 552, 680),
    (72, 144, 224, 328, 424, 504, 680, 872),
    (88, 176, 256, 392, 504, 600, 808, 1000),
    (104, 224, 328, 472, 584, 712, 1000),
    (120, 256, 392, 536, 680, 808),
    (136, 296, 456, 616, 776, 936),
    (144, 328, 504, 680, 872, 1000),
    (176, 376, 584, 776, 1000),
    (208, 440, 680, 1000),
)
UPLINK_BLOCK_MOST = 1000  # bits, category NB1
DOWNLINK_BLOCK_MOST = 680
_SINGLE_TONE_MOST = 10  # I_TBS
# Tones of 15 kHz: milliseconds and coded bits of one resource unit (TS 36.211, 10.1.2.3).
_TONES = {1: (8, 192), 3: (4, 288), 6: (2, 288), 12: (1, 288)}
_SUBFRAME_BITS = 304  # coded bits of an NPDSCH subframe without LTE around it
_UPLINK_REPEATS = (1, 2, 4, 8, 16, 32, 64, 128)
_DOWNLINK_REPEATS = (
    1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048
)  # fmt: skip


@dataclass(frozen=True)
class Format:
    """One transport block on the air: `us` microseconds on `tones` tones, `repeats` included."""

    us: int
    tones: int
    repeats: int


def ratio(db: float) -> float:
    """A power ratio from its dB."""
    return float(10 ** (db / 10))


@lru_cache(maxsize=1024)
def fading_db(airtime_ms: int, quantile: float = TEN_PERCENT) -> float:
    """How much a fading channel costs over a steady one of the same mean.

    The quantile of a chi-square distribution (Wilson and Hilferty's approximation): each coherence
    time adds as many degrees of freedom as there are branches, doubled.
    """
    freedom = 2 * BRANCHES * (1 + airtime_ms / 1000 / COHERENCE_S)
    spread = 2 / (9 * freedom)
    return -30 * log10(1 - spread + quantile * sqrt(spread))


def _closes(
    bits: int, hertz_ms: float, coded: int, snr: float, repeats: int, loss_db: float
) -> bool:
    # Repetitions alternate two redundancy versions (TS 36.213, 16.5.1.2): up to twice the code's
    # length is new, as far as the mother code has it. The rest only adds up energy.
    new = max(1.0, min(2.0, repeats, bits / MOTHER_RATE / coded))
    capacity = hertz_ms / 1000 * new * log2(1 + snr * repeats / new / ratio(loss_db))
    return capacity >= bits


@lru_cache(maxsize=4096)
def uplink(bits: int, density_db: float) -> Format | None:
    """The shortest NPUSCH format 1 for `bits`; None where 128 repetitions are not enough.

    `density_db`: received power over noise density in dBHz at the terminal's full power.
    """
    found = None
    for tones, (unit_ms, unit_bits) in _TONES.items():
        snr = ratio(density_db) / (15_000 * tones)
        for index, row in enumerate(_BLOCKS):
            if tones == 1 and index > _SINGLE_TONE_MOST:
                break
            for units, size in zip(_UNITS, row, strict=False):
                for repeats in _UPLINK_REPEATS if size >= bits else ():
                    ms = units * unit_ms * repeats
                    if found is not None and ms * 1000 >= found.us:
                        break
                    loss_db = UPLINK_LOSS_DB + fading_db(ms) - UPLINK_ARRAY_DB
                    hertz_ms = 15_000 * tones * units * unit_ms
                    whole = size + CRC_BITS
                    if _closes(whole, hertz_ms, unit_bits * units, snr, repeats, loss_db):
                        found = Format(ms * 1000, tones, repeats)
    return found


@lru_cache(maxsize=4096)
def downlink(bits: int, density_db: float) -> Format | None:
    """The shortest NPDSCH for `bits`, in subframes that are its own; None where none is enough."""
    found = None
    snr = ratio(density_db) / 180_000
    for row in _BLOCKS:
        for units, size in zip(_UNITS, row, strict=False):
            for repeats in _DOWNLINK_REPEATS if bits <= size <= DOWNLINK_BLOCK_MOST else ():
                ms = units * repeats
                if found is not None and ms * 1000 >= found.us:
                    break
                loss_db = DOWNLINK_LOSS_DB + fading_db(ms)
                coded = _SUBFRAME_BITS * units
                if _closes(size + CRC_BITS, 180_000 * units, coded, snr, repeats, loss_db):
                    found = Format(ms * 1000, 12, repeats)
    return found


@lru_cache(maxsize=1024)
def control(density_db: float) -> Format | None:
    """NPDCCH for one DCI; None where 2048 repetitions are not enough."""
    snr = ratio(density_db) / 180_000
    for repeats in _DOWNLINK_REPEATS:
        loss_db = DOWNLINK_LOSS_DB + fading_db(repeats, ONE_PERCENT)
        if _closes(CONTROL_BITS, 180_000, _SUBFRAME_BITS, snr, repeats, loss_db):
            return Format(repeats * 1000, 12, repeats)
    return None


def acknowledgement(density_db: float) -> Format:
    """NPUSCH format 2: one bit on one tone, 2 ms and its repetitions (TS 36.211, 10.1.3.1)."""
    for repeats in _UPLINK_REPEATS:
        need_db = 10 + fading_db(2 * repeats) - UPLINK_ARRAY_DB
        if ratio(density_db) * 0.002 * repeats >= ratio(need_db):
            break
    return Format(2000 * repeats, 1, repeats)
