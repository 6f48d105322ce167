"""The register campaign: `make soak-register`. Ten years of a gas meter's pulses with 5,000 power
cuts, once with the power-fail input and once without it; then what ten years of records wear.
"""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from meter_rig import SECOND, Meter, PowerCut

from fleet.wire import cbor

ROOT = Path(__file__).parents[2]
HOUR = 3600
START = 1_767_196_800  # 2025-12-31 16:00 UTC, midnight at UTC+8
LITRES = 50
DIGITS = 6  # a million litres, so that ten years roll over
A_YEAR_L = 340_000
HOLD_UP_US = 2 * SECOND  # of the capacitor, by hw/boards
BOOT_US = 500_000  # from the call to the write, of that
ENDURANCE = 100_000  # erases of a sector, by the flash's datasheet
CONFIG = {
    "litres_per_pulse": LITRES, "register_digits": DIGITS, "utc_offset_s": 28800, "scan_ms": 20,
    "reeds_overlap": 1, "reverse_l": 0, "magnet_s": 0, "freeze_days": 1,
}  # fmt: skip
GAS, GAP, SUSPECT = 1, 1014, 2


@dataclass
class Verdict:
    """What a life of the meter showed; volumes in litres."""

    pulses: int = 0
    cuts: int = 0
    mid_wake: int = 0
    sent_l: int = 0
    counted_l: int = 0
    rollovers: int = 0
    gaps: int = 0
    most_lost_l: int = 0
    freezes: int = 0
    nvs_erases: int = 0  # of the most worn page
    faults: list[str] = field(default_factory=list)


class Life:
    """One meter through `hours`, its power cut `cuts` times."""

    def __init__(self, seed: int, hours: int, cuts: int, *, warned: bool) -> None:
        self._chance = random.Random(seed)
        self._hours = hours
        self._warned = warned
        self._meter = Meter(START + 60, CONFIG, warned=warned)
        self._cuts = Counter(self._chance.choices(range(1, hours), k=cuts))
        self._lost = 0  # quarters of a turn that cuts without a warning have cost so far
        self._frozen = 0  # where the wheel was at the last freeze
        self.sabotage: Callable[[], None] | None = None  # takes a guard out of the firmware
        self.verdict = Verdict()

    def live(self) -> Verdict:
        """All of it."""
        with self._meter as meter:
            if self.sabotage is not None:
                self.sabotage()
            meter.wake()
            for hour in range(1, self._hours):
                self._hour(START + hour * HOUR, self._cuts[hour])
            self._check("at the end")
            self._judge(meter)
        return self.verdict

    def _hour(self, at_s: int, cuts: int) -> None:
        # Up to the full hour, with turns of the wheel and cuts in between; then the wake.
        meter, chance = self._meter, self._chance
        end = at_s * SECOND
        moments = sorted(
            chance.randrange(meter.clock.now_us, max(end - 10 * SECOND, meter.clock.now_us + 1))
            for _ in range(cuts)
        )
        mean = A_YEAR_L / LITRES / 8766 * 4  # quarters in an hour
        if chance.random() < 0.4:
            mean = 0.0
        quarters = [chance.randrange(meter.clock.now_us, end) for _ in range(round(
            chance.expovariate(0.6 / mean)) if mean else 0)]  # fmt: skip
        events = sorted([(moment, "cut") for moment in moments] + [(q, "") for q in quarters])
        last = 0
        for event in events:
            moment = max(event[0], last + 300_000)
            last = moment
            if moment > meter.clock.now_us:
                meter.run(moment - meter.clock.now_us)
            if event[1]:
                self._cut_asleep()
            else:
                meter.turn()
            if meter.called and meter.asleep:
                meter.wake()
        if end > meter.clock.now_us:
            meter.run(end - meter.clock.now_us)
        meter.run(100_000)
        if cuts and chance.random() < 0.5:
            self._cut_awake()
        self._frozen = meter.turned
        meter.wake()

    def _cut_asleep(self) -> None:
        meter = self._meter
        meter.run(100_000)  # the wheel has come to rest, and was seen
        if self._warned:
            meter.fail_supply()
            meter.run(BOOT_US)
            meter.wake()
            if self._chance.random() < 0.3:  # the wheel still goes on
                meter.turn()
                meter.run(200_000)
                if meter.called:
                    meter.wake()
            meter.run(HOLD_UP_US - BOOT_US)
        self._power()

    def _cut_awake(self) -> None:
        """At some operation of the wake: writes to NVS, to the journal, to the ULP's memory."""
        meter = self._meter
        self.verdict.mid_wake += 1
        meter.left = self._chance.randrange(1, 40)

        def fail() -> None:
            if self._warned:
                meter.fail_supply()
            else:
                raise PowerCut

        meter.on_operation = fail
        with contextlib.suppress(PowerCut):
            meter.wake()
        if meter.left and self._warned:  # the wake was shorter than that
            meter.left = 0
            meter.fail_supply()
            meter.run(BOOT_US)
            meter.wake()
        self._power()

    def _power(self) -> None:
        """It is gone, and comes back."""
        meter, verdict = self._meter, self.verdict
        verdict.cuts += 1
        meter.left = 0
        meter.cut()
        kept = meter.committed()
        if not self._warned:
            lost = meter.turned - self._lost - kept
            since = meter.turned - self._frozen
            if not 0 <= lost <= since:
                verdict.faults.append(f"cut {verdict.cuts}: {lost} quarters lost of {since}")
            self._lost += lost
            verdict.gaps += lost > 0
            verdict.most_lost_l = max(verdict.most_lost_l, -(-lost // 4) * LITRES)
        meter.clock.advance(meter.clock.now_us + self._chance.randrange(1, 3) * SECOND)
        meter.wake()
        meter.run(100_000)
        self._check(f"behind cut {verdict.cuts}")

    def _check(self, where: str) -> None:
        meter = self._meter
        found, sent = meter.quarters(), meter.turned - self._lost
        if found != sent:
            self.verdict.faults.append(f"{where}: the register has {found} quarters of {sent}")
            self._lost += sent - found

    def _judge(self, meter: Meter) -> None:
        verdict = self.verdict
        verdict.pulses = meter.pulses
        verdict.sent_l = meter.pulses * LITRES
        times: set[int] = set()
        before = last = 0
        flagged = begun = 0
        for body in meter.journal.bodies:
            flat = cbor.decode(body)
            assert isinstance(flat, list)
            values = dict(zip(flat[2::2], flat[3::2], strict=True))
            begun += values.get(GAP) == 1
            if GAS not in values or GAP in values:
                continue
            verdict.freezes += 1
            flagged += flat[1] == SUSPECT
            if flat[0] in times:
                verdict.faults.append(f"the hour {flat[0]} is frozen twice")
            times.add(flat[0])
            if values[GAS] < before:
                verdict.rollovers += 1
            before = values[GAS]
            last = verdict.rollovers * 10**DIGITS + values[GAS]
        verdict.counted_l = last
        if self._warned and begun:
            verdict.faults.append(f"{begun} gaps are told where there was none")
        if not self._warned and self.verdict.cuts and not (begun and flagged):
            verdict.faults.append("no gap is told")
        verdict.nvs_erases = max(meter.nvs.erases.values(), default=0)


def wear(days: int) -> dict[str, int]:
    """Erases by the real littlefs of so many days of records and receipts."""
    command = [str(Path(sys.executable).with_name("micropython")), "-X", "heapsize=8m"]
    command += [str(ROOT / "tests" / "vm" / "journal_wear.py"), str(ROOT / "firmware")]
    command += [str(ROOT / "hil" / "virtual" / "shims"), str(days)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=True)
    found: dict[str, int] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def main() -> int:
    """Both lives, and the wear; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=float, default=10)
    parser.add_argument("--cuts", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    hours, wrong = int(options.years * 8766), 0
    for warned in (True, False):
        began = time.monotonic()
        found = Life(options.seed, hours, options.cuts, warned=warned).live()
        what = "with the power-fail input" if warned else "without it"
        print(
            f"{what}: {options.years:g} years, {found.pulses} pulses of {LITRES} l, {found.cuts} "
            f"power cuts ({found.mid_wake} awake), {found.rollovers} rollovers, {found.freezes} "
            f"freezes, {time.monotonic() - began:.0f} s"
        )
        print(
            f"  sent {found.sent_l} l, register {found.counted_l} l; {found.gaps} cuts cost "
            f"pulses, {found.most_lost_l} l at most; NVS: {found.nvs_erases} "
            f"erases of the most worn page ({100 * found.nvs_erases / ENDURANCE:.2f} %)"
        )
        for fault in found.faults[:10]:
            print(f"  WRONG: {fault}")
        wrong += len(found.faults)
    worn = wear(int(options.years * 365.25))
    share = 100 * worn["most"] / ENDURANCE
    print(
        f"journal on littlefs: {worn['records']} records, {worn['erases']} erases of "
        f"{worn['blocks']} sectors, {worn['most']} of the most worn one ({share:.2f} %)"
    )
    return 1 if wrong or share >= 10 else 0


if __name__ == "__main__":
    sys.exit(main())
