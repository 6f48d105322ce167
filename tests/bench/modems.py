"""What one report costs, by modem family and coverage: `make bench-modems`.

A registered modem in PSM (Cat 1: asleep by DTR) is woken, sends 50 bytes over UDP and sleeps
again; and the same with a receipt of 4 bytes. Virtual time, the firmware's drivers, the twins'
energy ledger. The reference is the energy of a 50-byte report that follows from the life table of
3GPP TR 45.820 (5 Wh; 22.4, 11.0 and 2.5 years at a report every 2 h); the twin's currents and
airtimes know nothing of it. That study's terminal transmits 23 dBm with 500 mW and receives with
90 mW: the column `air` is our airtime with its powers, and tells airtime from module.
"""

import argparse
import asyncio
import sys
from typing import Any, NamedTuple

from contact import Fleet, driver
from modem_bench import Bench, jumping

from hil.virtual.modem import ModemTwin, energy
from hil.virtual.modem.cat1 import GOOD_DB, POOR_DB
from hil.virtual.modem.energy import Power, Usage
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.scenario import NBIOT, Scenario

BYTES = 50
LIMIT = 1.2  # of the reference, with release assistance
COVERAGE: dict[bool, tuple[tuple[str, float], ...]] = {
    True: (("ECL0", 144.0), ("ECL1", 154.0), ("ECL2", 164.0)),
    False: (("good", GOOD_DB), ("poor", POOR_DB)),
}
REFERENCE_MJ = {144.0: 74.0, 154.0: 265.0, 164.0: 1530.0}  # TR 45.820, clause 7.3.6.4
# Milliwatts of that study's terminal (clause 7.3.6.4): deep sleep, light sleep, reception, 23 dBm.
STUDY = Power(
    technology=NBIOT,
    volts=1.0,
    minimum_volts=0.0,
    ma={"off": 0, "psm": 0.015, "light_sleep": 2.4, "idle": 2.4, "rx": 90},
    tx=((23, 500),),
)
TAU_S = 86_400
# T3324. SIM7080 only comes back from PSM by PWRKEY: without active time it would be gone before
# the grant can be read.
ACTIVE_S = {"sim7080": 2}
PINS = ("psm_exit", "pwrkey", "dtr")
ANSWER_S = 60.0
REPORTS = 10  # the mean of so many: random access and block errors are by chance
NO_RELEASE, NOTHING_MORE, AFTER_ANSWER = 0, 1, 2


class Cost(NamedTuple):
    """Means of one report; `attach_s` is of the one attach before."""

    attach_s: float
    mj: float
    awake_s: float
    up_octets: float
    down_octets: float


class Row(NamedTuple):
    """One line of a table; `reference_mj` is None where there is none."""

    family: str
    coverage: str
    loss_db: float
    assisted: Cost | None  # None: the family has no release assistance
    plain: Cost
    air_mj: float | None  # with the study's powers
    reference_mj: float | None

    @property
    def ratio(self) -> float | None:
        """Of the best that the family can to the reference."""
        best = self.assisted or self.plain
        return best.mj / self.reference_mj if self.reference_mj else None


async def settle(twin: ModemTwin) -> None:
    """Until the modem has nothing more to do: it is in PSM, or asleep."""
    for _ in range(600):
        if twin.ledger.state in ("psm", "light_sleep"):
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"{twin.family.table.name} does not fall asleep")


async def report(modem: Any, port: int, release: int, receipt: bool) -> None:
    """One report, and its receipt if it is wanted; a lost one is repeated."""
    await modem.wake()
    await modem.attach("", 180_000)
    socket = await modem.datagram("127.0.0.1", port, 75_000)
    for _ in range(3):
        await socket.send(bytes(BYTES), release)
        if not receipt:
            break
        try:
            await asyncio.wait_for(socket.recv(), ANSWER_S)
            break
        except TimeoutError:
            continue
    else:
        raise RuntimeError("no receipt")
    await modem.sleep()


async def cost(
    family: str, loss_db: float, release: int, receipt: bool, power: Power | None = None
) -> Cost:
    """Attach, ask for PSM where there is one, sleep; then some reports."""
    async with Fleet(BYTES, answers=receipt) as fleet:
        twin = ModemTwin(family, seed=1, scenario=Scenario(coupling_loss_db=loss_db))
        twin.power = power or twin.power
        bench = Bench(twin)
        twin.power_on()
        modem = driver(family, bench, PINS)
        await modem.wake()
        began = bench.now()
        await modem.attach("", 180_000)
        attach_s = (bench.now() - began) / 1e6
        if modem.PSM and await modem.power_saving(TAU_S, ACTIVE_S.get(family, 0)) is None:
            raise RuntimeError(f"{family} got no PSM")
        await modem.sleep()
        used: list[Usage] = []
        for _ in range(REPORTS):
            await settle(twin)
            await asyncio.sleep(600)
            mark = twin.ledger.mark()
            await report(modem, fleet.udp_port, release, receipt)
            await settle(twin)
            used.append(twin.ledger.since(mark))
        twin.power_off()
        await asyncio.sleep(0)
    return Cost(
        attach_s,
        sum(u.mj for u in used) / REPORTS,
        sum(u.awake_s for u in used) / REPORTS,
        sum(u.up_octets for u in used) / REPORTS,
        sum(u.down_octets for u in used) / REPORTS,
    )


def rows(family: str, receipt: bool) -> list[Row]:
    """The family's lines."""
    narrow = energy.load(family).technology == NBIOT
    release = AFTER_ANSWER if receipt else NOTHING_MORE
    found = []
    for name, loss_db in COVERAGE[narrow]:

        def of(*arguments: Any, loss_db: float = loss_db) -> Cost:
            return jumping(lambda: cost(family, loss_db, *arguments))

        plain, assisted, air, reference = of(NO_RELEASE, receipt), None, None, None
        if narrow:
            assisted, air = of(release, receipt), of(release, receipt, STUDY).mj
            reference = REFERENCE_MJ[loss_db]
        found.append(Row(family, name, loss_db, assisted, plain, air, reference))
    return found


def text(row: Row) -> str:
    """The row as a line of the table."""
    best = row.assisted or row.plain

    def of(mj: float | None) -> str:
        if mj is None:
            return f"{'-':>8}{'-':>7}"
        return f"{mj:>8.0f}" + (
            f"{mj / row.reference_mj:>7.2f}" if row.reference_mj else f"{'-':>7}"
        )

    reference = f"{row.reference_mj:.0f}" if row.reference_mj else "-"
    return (
        f"{row.family:<9}{row.coverage:<6}{row.loss_db:>5.0f}{best.attach_s:>8.1f}"
        f"{best.up_octets:>6.0f}{best.down_octets:>6.0f}{best.awake_s:>8.1f}"
        f"{row.plain.awake_s:>8.1f}{reference:>8}{of(row.assisted and row.assisted.mj)}"
        f"{of(row.air_mj)}{of(row.plain.mj)}"
    )


HEAD = (
    f"{'family':<9}{'cover':<6}{'loss':>5}{'attach':>8}{'up':>6}{'down':>6}{'awake':>8}"
    f"{'no RAI':>8}{'TR':>8}{'RAI':>8}{'ratio':>7}{'air':>8}{'ratio':>7}"
    f"{'no RAI':>8}{'ratio':>7}\n"
    f"{'':<15}{'dB':>5}{'s':>8}{'B':>6}{'B':>6}{'s':>8}{'s':>8}{'mJ':>8}{'mJ':>8}{'':>7}{'mJ':>8}"
    f"{'':>7}{'mJ':>8}"
)


def main() -> int:
    """Exit code 0 when every report of a family with a reference keeps to the limit."""
    parser = argparse.ArgumentParser(prog="make bench-modems")
    parser.add_argument("families", nargs="*", default=sorted(FAMILIES))
    families = parser.parse_args().families
    over = []
    for receipt in (False, True):
        what = "and a receipt of 4 bytes" if receipt else "alone"
        print(f"A report of {BYTES} bytes over UDP {what}\n{HEAD}")
        for family in families:
            for row in rows(family, receipt):
                print(text(row), flush=True)
                if not receipt and row.ratio is not None and row.ratio > LIMIT:
                    over.append(row)
        print()
    print("up, down: octets of IP on the air. RAI: with release assistance. TR: 3GPP TR 45.820.")
    print(f"air: our airtime, that study's powers. Limit for the report alone, RAI: {LIMIT} of TR")
    for row in over:
        print(f"over the limit: {row.family} {row.coverage} {row.ratio:.2f}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
