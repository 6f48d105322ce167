"""Meters behind one terminal move with it, each in a bill of its own, and stay what they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_rig import DAY, HOUR, QUICK, Town, keys
from sqlalchemy import select

from fleet.migration import (
    audit,
    billing,
    cutover,
    dualrun,
    gate,
    ledger,
    preflight,
    served,
    states,
)
from fleet.migration.breaches import LedgerError
from fleet.migration.handover import Typed
from fleet.migration.ledger_tables import BillLine, RegisterSegment
from fleet.migration.scaling import Meaning
from fleet.migration.states import Actor
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.tables import MigrationItem
from fleet.registry import legacy_behind
from fleet.registry.legacy_behind import Meter
from fleet.registry.sub_tables import SubDevice
from fleet.telemetry import operations as telemetry
from fleet.telemetry.operations import New

ENERGY = 22


class Line:
    """A DTU with three electricity meters; what they have counted, by asset."""

    def __init__(self, town: Town, count: int = 3) -> None:
        self.town = town
        town.add_asset(kind="gateway")
        self.dtu = town.old()
        with town.database.begin() as session:
            for number in range(1, count + 1):
                address = f"{number:012d}"
                legacy_behind.put(
                    session, Meter(self.dtu, f"E{number}", "electricity-meter", address)
                )
        with town.database.read() as session:
            self.meters = list(
                session.scalars(select(SubDevice.asset_id).order_by(SubDevice.number))
            )
        self.counted = {asset: 1000 * place for place, asset in enumerate(self.meters, 1)}
        self.first = dict(self.counted)

    def report(self, *terminal_ids: str) -> None:
        now = self.town.now
        with self.town.database.begin() as session:
            telemetry.store(
                session,
                [
                    New(asset, terminal, ENERGY, now, value, 0, telemetry.LEGACY, now)
                    for terminal in terminal_ids
                    for asset, value in self.counted.items()
                ],
            )

    def days(self, count: int, *terminal_ids: str) -> None:
        """Days pass; each meter has its own pace, and each terminal its own hour."""
        for _ in range(count):
            for terminal in terminal_ids:
                self.town.now += DAY // max(1, len(terminal_ids))
                for place, asset in enumerate(self.meters, 1):
                    self.counted[asset] += 100 * place
                self.report(terminal)

    def open_segments(self) -> dict[int, str]:
        """By meter the terminal that it is billed by."""
        with self.town.database.read() as session:
            rows = session.scalars(
                select(RegisterSegment).where(RegisterSegment.to_us.is_(None))
            ).all()
        return {row.asset_id: row.terminal_id for row in rows}

    def check(self) -> None:
        """All that was counted is billed, of each meter."""
        town = self.town
        town.now += HOUR
        self.report(*set(self.open_segments().values()))
        with town.desk() as desk:
            billing.freeze(desk, self.meters, town.now, QUICK)
        with town.database.read() as session:
            lines = session.scalars(select(BillLine)).all()
        used = dict.fromkeys(self.meters, 0)
        for line in lines:
            used[line.asset_id] += line.to_index - line.from_index
        assert used == {asset: self.counted[asset] - self.first[asset] for asset in self.meters}
        found = audit.audit(town.database, "2g", keys())
        assert found.breach is None, found.breach.line()
        assert found.assets == 1 + len(self.meters)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    town = Town(tmp_path, 0)
    made = Line(town)
    made.report(made.dtu)
    town.ready()
    made.days(2, made.dtu)
    yield made
    town.close()


def _install(line: Line, mode: str) -> str:
    new = line.town.add_terminal(role="gateway")
    line.town.now += HOUR
    put = dualrun.Put(line.town.items[0], mode, new, line.town.now)
    with line.town.desk(Actor.TECHNICIAN, "Chen") as desk:
        dualrun.install(desk, [put])
    return new


def _judge(line: Line) -> gate.Verdict:
    return line.town.judge()[0]


def test_each_meter_comes_into_the_ledger(line: Line) -> None:
    assert line.open_segments() == dict.fromkeys(line.meters, line.dtu)


@pytest.mark.parametrize("mode", ["beside", "instead"])
def test_all_meters_move_and_nothing_is_lost_or_doubled(line: Line, mode: str) -> None:
    new = _install(line, mode)
    line.days(4, *((line.dtu, new) if mode == "beside" else (new,)))
    verdict = _judge(line)
    assert verdict.passed, verdict.text
    line.town.cut_over()
    assert line.open_segments() == dict.fromkeys(line.meters, new)
    line.days(2, new)
    line.check()


@pytest.mark.parametrize("mode", ["beside", "instead"])
def test_a_rollback_brings_all_of_them_back(line: Line, mode: str) -> None:
    new = _install(line, mode)
    line.days(4, *((line.dtu, new) if mode == "beside" else (new,)))
    _judge(line)
    line.town.cut_over()
    line.days(1, new)
    line.town.roll_back()
    assert line.open_segments() == dict.fromkeys(line.meters, line.dtu)
    line.days(2, line.dtu)
    line.check()


def test_one_meter_that_counts_apart_holds_all_back(line: Line) -> None:
    new = _install(line, "beside")
    for _ in range(4):
        line.days(1, line.dtu, new)
        line.counted[line.meters[1]] += 5_000  # the new one reads another meter
        line.town.now += HOUR
        line.report(new)
        line.counted[line.meters[1]] -= 5_000
    line.days(1, line.dtu)
    verdict = _judge(line)
    assert not verdict.passed
    assert f"asset id:{line.meters[1]}" in verdict.text
    assert line.open_segments() == dict.fromkeys(line.meters, line.dtu)


def test_it_is_settled_when_every_meter_is_billed(line: Line) -> None:
    new = _install(line, "instead")
    line.days(4, new)
    assert _judge(line).passed
    line.town.cut_over()
    line.town.now += HOUR
    with line.town.desk() as desk:
        billing.freeze(desk, line.meters[:2], line.town.now, QUICK)
    assert line.town.settle() == []
    with line.town.desk() as desk:
        billing.freeze(desk, line.meters, line.town.now, QUICK)
    assert line.town.settle() == [line.town.items[0]]


def test_a_retired_terminal_ends_the_bills_of_its_meters(line: Line) -> None:
    with line.town.desk(Actor.TECHNICIAN, "Chen") as desk:
        put = dualrun.Put(line.town.items[0], "same", "", line.town.now)
        dualrun.install(desk, [put])
    line.days(3, line.dtu)
    assert _judge(line).passed
    line.town.cut_over()
    assert line.open_segments() == {}
    with line.town.desk() as desk:
        billing.freeze(desk, line.meters, line.town.now, QUICK)
    assert line.town.settle() == [line.town.items[0]]


def test_nobody_types_the_dials_of_several_meters(line: Line) -> None:
    _install(line, "instead")
    typed = Typed(line.town.now, 1, 1)
    with pytest.raises(LedgerError, match="moves 3 meters"), line.town.desk(Actor.PERSON) as desk:
        cutover.roll_back(desk, [line.town.items[0]], "x", typed)


def test_a_meter_that_came_later_moves_without_a_bill(line: Line) -> None:
    with line.town.database.begin() as session:
        legacy_behind.put(session, Meter(line.dtu, "E9", "electricity-meter", "9" * 12))
    _install(line, "beside")
    with line.town.database.read() as session:
        swaps = session.scalars(select(MigrationSwap)).all()
        item = session.get_one(MigrationItem, line.town.items[0])
        keys_ = served.keys(session, [item])[item.id]
    assert sorted(swap.asset_id for swap in swaps) == line.meters
    assert len(keys_) == 4
    assert item.state == states.INSTALLED


def test_a_meter_turns_its_counter_in_the_middle_of_it(tmp_path: Path) -> None:
    """What the old terminal's register began anew at holds for the new one, too."""
    town = Town(tmp_path, 0)
    line = Line(town, 1)
    (meter,) = line.meters
    modulus = 2_000
    line.report(line.dtu)
    with town.desk() as desk:
        meaning = Meaning("kWh", 2, modulus)
        assert preflight.make_ready(desk, town.items, {meter: meaning})
    flowed = line.counted[meter]

    def tell(terminal: str, day: int) -> None:
        nonlocal flowed
        town.now += day * DAY
        flowed += 300 * day
        line.counted[meter] = flowed % modulus
        line.report(terminal)

    for _ in range(2):
        tell(line.dtu, 1)
    new = _install(line, "instead")
    for _ in range(5):
        tell(new, 1)
    assert _judge(line).passed
    with town.database.read() as session:
        index = ledger.index_at(session, meter, ENERGY, town.now)
    assert index == flowed
    town.close()
