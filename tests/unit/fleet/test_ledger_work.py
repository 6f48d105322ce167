"""Work orders as technicians tell them: what an act may leave out, and what it never may."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_rig import HOUR, Town, keys
from sqlalchemy import update

from fleet.migration import audit, cutover, decommission, states, work, work_acts
from fleet.migration.breaches import LedgerError
from fleet.migration.states import Actor
from fleet.migration.swap_tables import PreflightCheck
from fleet.migration.tables import MigrationItem
from fleet.migration.work_acts import Done
from fleet.registry.labels import LabelError
from fleet.registry.tables import Terminal

OLD_CARD, NEW_CARD = "89860318040000000012", "89860318040000000020"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.close()


def ready(town: Town, path: str) -> int:
    """A meter that has reported is ready on this path; its order."""
    town.days(3, town.old())
    town.ready()  # before its path is named, which would ask for checks
    with town.database.begin() as session:
        session.execute(update(MigrationItem).values(path=path))
    town.now += HOUR
    with town.database.read() as session:
        (order,) = work.orders(session, town.programme)
    return order.id


def done(town: Town, order: int, **more: Any) -> str:
    act = Done(str(uuid.uuid4()), town.now, "Chen", order, town.old(), **more)
    with town.desk(Actor.TECHNICIAN, "Chen") as desk:
        return work.take_in(desk, act).said


@pytest.mark.parametrize("path", ["configuration", "esim-profile", "sim-swap", "module-swap"])
def test_a_terminal_that_stays_need_not_be_scanned_twice(town: Town, path: str) -> None:
    """Told without --new its register would be retired, and all that flows afterwards be lost."""
    old = town.old()
    first = town.flowed[town.assets[0]] + 700
    done(town, ready(town, path))
    assert town.item().new_terminal_id == old
    assert not town.judge()[0].passed
    town.days(3, old)
    assert town.judge()[0].passed
    town.cut_over()
    town.days(3, old)
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first
    found = audit.audit(town.database, "2g", keys())
    assert found.breach is None


def test_sabotage_of_the_path_loses_what_flows(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an empty scan came to before its path was asked."""
    first = town.flowed[town.assets[0]] + 700
    monkeypatch.setattr(work, "_came", lambda *_: "")
    done(town, ready(town, "sim-swap"))
    assert town.judge()[0].passed
    town.cut_over()
    town.days(3, town.old())
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - first - 3 * 700


def test_only_what_is_retired_may_end_with_nothing(town: Town) -> None:
    order = ready(town, "retire")
    assert "nothing is in place" in done(town, order)
    assert town.judge()[0].passed
    with town.desk(Actor.PERSON, "Li Wei") as desk:
        cutover.cut_over(desk, town.items)
    assert town.segments()[-1].to_us is not None


@pytest.mark.parametrize("path", ["replacement", "gateway-bridge", "a-path-of-theirs"])
def test_what_was_put_in_is_scanned(town: Town, path: str) -> None:
    order = ready(town, path)
    with pytest.raises(LedgerError, match=f"is a {path}: scan what was put in"):
        done(town, order)
    assert town.state() == states.READY


@pytest.mark.parametrize("at_us", [1, "before its order"])
def test_attack_a_wrong_clock_skips_no_dual_run(town: Town, at_us: Any) -> None:
    """A visit of 1970 had 50 years of a dual run behind it."""
    order = ready(town, "replacement")
    new = town.add_terminal()
    before = town.now - HOUR - work.AHEAD_US - 1
    act = Done(str(uuid.uuid4()), 1 if at_us == 1 else before, "Chen", order, town.old(), new)
    for wrong in (act, work_acts.Start(act.id, act.at_us, "Chen", order)):
        with (
            town.desk(Actor.TECHNICIAN, "Chen") as desk,
            pytest.raises(LedgerError, match="set the laptop's clock"),
        ):
            work.take_in(desk, wrong)
    assert town.state() == states.READY


def test_attack_a_visit_of_long_ago_has_no_dual_run_behind_it(town: Town) -> None:
    """Whatever the visit says: what was seen to agree is what counts."""
    town.days(3, town.old())
    town.ready()
    new = town.add_terminal()
    town.install(new, dials=False, at_us=1)
    for _ in range(5):
        town.now += HOUR // 20
        town.report(town.old(), new)
    (verdict,) = town.judge()
    assert (verdict.passed, verdict.text) == (False, "waits: 4 readings agree over 540 s")


def card(town: Town, set_to: str = "") -> str | None:
    with town.database.begin() as session:
        terminal = session.get_one(Terminal, town.old())
        terminal.iccid = set_to or terminal.iccid
        return terminal.iccid


def asked(town: Town) -> list[tuple[str, str]]:
    with town.database.read() as session:
        return [(one.iccid, one.alias) for one in decommission.asked(session)]


def let_go(town: Town) -> None:
    town.days(3, town.old())
    assert town.judge()[0].passed
    town.cut_over()
    town.days(1, town.old())
    town.freeze()
    town.settle()
    town.days(11, town.old())
    town.decommission()


@pytest.mark.parametrize("path", ["sim-swap", "esim-profile"])
@pytest.mark.parametrize("iccid", [NEW_CARD, ""])
def test_the_card_that_was_taken_out_is_cancelled(town: Town, path: str, iccid: str) -> None:
    """It was paid for ever, since its terminal stays."""
    card(town, OLD_CARD)
    done(town, ready(town, path), iccid=iccid)
    assert card(town) == (iccid or None)
    let_go(town)
    assert asked(town) == [(OLD_CARD, "")]
    with town.desk(Actor.PERSON, "Li Wei") as desk:
        assert decommission.confirm(desk, "sim", OLD_CARD) == 1
    assert asked(town) == []
    with town.database.read() as session:
        assert session.get_one(Terminal, town.old()).state == "active"
    assert audit.audit(town.database, "2g", keys()).breach is None


def test_a_card_that_stays_is_never_cancelled(town: Town) -> None:
    card(town, OLD_CARD)
    done(town, ready(town, "configuration"))
    let_go(town)
    assert asked(town) == []
    assert card(town) == OLD_CARD


def test_a_card_that_the_registry_has_again_is_not_cancelled_blindly(town: Town) -> None:
    card(town, OLD_CARD)
    done(town, ready(town, "sim-swap"))
    card(town, OLD_CARD)
    with pytest.raises(LedgerError, match=f"card {OLD_CARD} is in .* again"):
        let_go(town)
    card(town, NEW_CARD)
    town.decommission()
    assert asked(town) == [(OLD_CARD, "")]


def test_a_rollback_brings_the_old_card_back(town: Town) -> None:
    card(town, OLD_CARD)
    done(town, ready(town, "sim-swap"), iccid=NEW_CARD)
    town.roll_back()
    assert card(town) == OLD_CARD
    with town.database.begin() as session:
        session.execute(update(MigrationItem).values(path="configuration"))
        session.add(
            PreflightCheck(
                item_id=town.items[0], name="whitelist", passed=True, said="", person="",
                at_us=town.now,
            )
        )  # fmt: skip
    town.ready()
    with town.database.read() as session:
        (order,) = work.orders(session, town.programme)
    done(town, order.id)
    let_go(town)
    assert asked(town) == []
    assert card(town) == OLD_CARD


@pytest.mark.parametrize(
    ("path", "iccid", "error", "text"),
    [
        ("sim-swap", OLD_CARD, LedgerError, "was in it before"),
        ("sim-swap", NEW_CARD[:-1] + "8", LabelError, "a digit is wrong"),
        ("retire", NEW_CARD, LedgerError, "for a terminal that stays"),
    ],
)
def test_a_card_that_cannot_be_is_refused(
    town: Town, path: str, iccid: str, error: type[Exception], text: str
) -> None:
    card(town, OLD_CARD)
    order = ready(town, path)
    with pytest.raises(error, match=text):
        done(town, order, iccid=iccid)
    assert card(town) == OLD_CARD
    assert town.state() == states.READY
