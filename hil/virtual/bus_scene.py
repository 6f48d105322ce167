"""A gateway's surroundings: a line with meters of three protocols, one of which is dead."""

import random
from collections.abc import Iterator

from fleet.flashing.hardware import load_board
from hil.virtual.rs485 import meters
from hil.virtual.rs485.device import Faults
from hil.virtual.rs485.line import BusTwin
from hil.virtual.scenes import SECOND, Scene
from hil.virtual.stimulus import Adc, Change

PERIOD = 900 * SECOND
POWER, METER, GAS = 1, 2, 3  # numbers of the sub-devices
READINGS = {POWER: 10, METER: 5}  # that each gives when it is polled
ADDRESSES = {POWER: "17", METER: "000000000161", GAS: "78330011223344"}
PROFILES = {POWER: "sdm630", METER: "dlt645", GAS: "cjt188-gas"}
KINDS = {POWER: "power-meter", METER: "electricity-meter", GAS: "sub-gas-meter"}


def power(now_us: int) -> dict[str, int]:
    """An SDM630 under a load that follows the hour, in thousandths by function and register."""
    hour = now_us // SECOND // 3600 % 24
    watts = 1500 + 100 * hour
    found = {f"4:{register}": 230_000 + register for register in (0, 2, 4)}
    found |= {f"4:{register}": watts * 1000 // 690 for register in (6, 8, 10)}
    kwh = now_us // SECOND * 2 // 3600 % 1_000_000
    return found | {"4:52": watts * 1000, "4:62": 950, "4:70": 50_000, "4:72": kwh * 1000}


def meter(now_us: int) -> dict[str, int]:
    """A DL/T 645 meter: each item in its last decimal."""
    return {
        "00010000": now_us // SECOND // 36 % 100_000_000,
        "02010100": 2310,
        "02020100": -1250,
        "02030000": -2_750,
        "02060000": 987,
    }


def gateway(start_us: int, seed: int) -> Scene:
    """Three sub-devices, polled each quarter of an hour: a power meter that is slow, an
    electricity meter whose answers get lost and damaged, and a gas meter that is dead.
    """
    chance = random.Random(seed)
    board = "esp32-ec200"
    pin = load_board(board).pins["supply"]
    devices = [
        meters.power_meter(17, power, Faults(delay_us=chance.randint(20_000, 200_000))),
        # Tried three times: two that fail in a row are made up for.
        meters.electricity_meter(
            ADDRESSES[METER], meter, Faults(lose_every=5, spoil_every=7, noise_every=3)
        ),
        meters.gas_meter(ADDRESSES[GAS], lambda _: {"total": 1, "status": 0}, Faults(dead=True)),
    ]
    scene = Scene(
        "gateway",
        board,
        {
            "sample_s": PERIOD // SECOND,
            "report_s": 7200,
            "report_records": 16,
            "devices": [[n, PROFILES[n], ADDRESSES[n]] for n in (POWER, METER, GAS)],
        },
        start_us,
        readings=sum(READINGS.values()),
        records=len(READINGS),
        bound=lambda end_us: (end_us // PERIOD + 1) * PERIOD,
        bus=BusTwin(devices),
    )

    def schedule() -> Iterator[tuple[int, Change]]:
        slot = start_us // PERIOD
        at = start_us
        while True:
            scene.given.append((max(slot * PERIOD, start_us), 0))
            yield at, Adc(pin, 0)
            slot += 1
            at = slot * PERIOD - SECOND

    scene._schedule = schedule()
    return scene
