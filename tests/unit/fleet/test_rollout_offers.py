"""Whom a rollout offers to now, and why others wait: areas, windows, battery, signal, silence."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import FAST, Fleet
from sqlalchemy import select

from fleet.registry.tables import Asset, Installation, Site
from fleet.rollouts import filling, lifecycle, offering, states
from fleet.rollouts.tables import Update
from fleet.telemetry.tables import Reading


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield from rig.fleets(tmp_path, monkeypatch, 100)


def told(fleet: Fleet, node_id: str, quantity: int, value: int) -> None:
    """As a report of where the node is installed."""
    with fleet.database.begin() as session:
        placed = session.scalar(select(Installation).where(Installation.open_for == node_id))
        if placed is None:
            site = Site(area_code="440106000", name="x")
            session.add(site)
            session.flush()
            asset = Asset(site_id=site.id, kind="drainage", name="x")
            session.add(asset)
            session.flush()
            placed = Installation(
                terminal_id=node_id, asset_id=asset.id, from_us=0, open_for=node_id
            )
            session.add(placed)
            session.flush()
        session.add(
            Reading(
                asset_id=placed.asset_id, terminal_id=node_id, quantity=quantity,
                time_us=fleet.now, value=value, quality=0, trust=0, received_us=fleet.now,
                clock_off=False,
            )
        )  # fmt: skip


def in_flight(fleet: Fleet) -> Counter[str]:
    return Counter(row.cell for row in fleet.updates(Update.open_for.is_not(None)))


def test_no_area_is_loaded_beyond_its_limit_by_all_rollouts_together(fleet: Fleet) -> None:
    for name in ("one", "two"):
        fleet.create(name=name, canary=100, per_area=5, **FAST)
        fleet.do("start", name)
    for _ in range(20):
        fleet.tick(120)
        assert max(in_flight(fleet).values()) == 5
    assert len(in_flight(fleet)) == 4
    assert {row.reason for row in fleet.updates(Update.state == "scheduled")} >= {"area-full"}
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    fleet.tick(1200)
    assert set(in_flight(fleet).values()) == {5}


def test_sabotage_without_the_limit_an_area_is_loaded(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offering, "_loads", lambda *_: Counter())
    fleet.create(canary=100, per_area=5, **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.tick(3600)
    assert max(in_flight(fleet).values()) > 5


def test_offers_go_out_in_the_window_alone(fleet: Fleet) -> None:
    fleet.now = int(datetime.fromisoformat("2026-11-26T12:00:00+08:00").timestamp() * 1e6)
    fleet.create(canary=50, windows=("01:00-05:00",), **FAST)
    fleet.do("start")
    assert fleet.tick(1).offered == 0
    row = fleet.row()
    assert (row.state, row.why) == (lifecycle.RUNNING, "window")
    assert fleet.tick(13 * 3600 - 2).offered == 0
    assert fleet.tick(1).offered == 50
    assert fleet.row().why == ""


def test_an_urgent_rollout_waits_for_no_window(fleet: Fleet) -> None:
    fleet.now = int(datetime.fromisoformat("2026-11-26T12:00:00+08:00").timestamp() * 1e6)
    fleet.create(canary=50, windows=("01:00-05:00",), urgent=True, **FAST)
    fleet.do("start")
    assert fleet.tick().offered == 50


def test_a_weak_battery_and_a_weak_signal_wait_and_what_is_unknown_goes(fleet: Fleet) -> None:
    fleet.create(canary=100, battery_mv=3300, signal_dbm=-115, **FAST)
    low, weak, good, *_ = fleet.nodes
    told(fleet, low, 100, 3200)
    told(fleet, weak, 101, -121)
    told(fleet, good, 100, 3600)
    fleet.do("start")
    fleet.tick()
    found = {row.node_id: (row.state, row.reason) for row in fleet.updates()}
    assert found[low] == (states.SCHEDULED, "battery")
    assert found[weak] == (states.SCHEDULED, "signal")
    assert found[good][0] == states.OFFERED
    assert len(fleet.open_ids()) == 98
    told(fleet, low, 100, 3500)
    fleet.tick(6 * 3600)
    assert len(fleet.open_ids()) == 99


def test_the_pace_is_kept_and_grows(fleet: Fleet) -> None:
    fleet.create(canary=100, per_minute=6, factor=20, every=10, most_per_minute=1000)
    fleet.do("start")
    fleet.tick(0)
    assert len(fleet.open_ids()) == 6  # a minute's worth at once
    for _ in range(3):
        fleet.tick(30)
    assert len(fleet.open_ids()) == 15
    fleet.move(fleet.open_ids()[:10], states.SUCCEEDED)
    for _ in range(2):
        fleet.tick(30)
    assert len(fleet.open_ids()) == 5 + 12


def test_offers_hold_while_too_many_are_silent_and_stop_when_they_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(tmp_path, 2000)
    for name in rig.CLOCKS:
        monkeypatch.setattr(name, fleet.clock)
    fleet.create(canary=50, stages=(100,), errors=20, per_minute=100, most_per_minute=100)
    fleet.offers.step_s = 5 * 86400
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    fleet.tick()
    silent: list[int] = []
    for _ in range(8):
        ids = [each for each in fleet.open_ids() if each not in silent]
        silent += ids[:10]  # of each hundred: far above 2 %
        fleet.move(ids[10:], states.SUCCEEDED)
        fleet.tick(3600)
    assert len(fleet.offers.given) < 1000
    fleet.tick(3 * 86400)
    assert (fleet.row().state, fleet.row().why) == (lifecycle.RUNNING, "silent")
    held = len(fleet.offers.given)
    fleet.tick(3600)
    assert len(fleet.offers.given) == held
    for _ in range(6):
        fleet.tick(86400)
    assert (fleet.row().state, fleet.row().why) == (lifecycle.STOPPED, "errors")
    fleet.close()


def test_each_rollout_has_a_transaction_of_its_own(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot go on, whatever it is, costs the others nothing."""
    for name in ("one", "two"):
        fleet.create(name=name, canary=10, **FAST)
        fleet.do("start", name)
    one = fleet.row("one").id
    whole = offering.offer_some

    def failing(session, offerer, row, *rest):  # type: ignore[no-untyped-def]
        if row.id == one:
            raise RuntimeError("disk full")
        return whole(session, offerer, row, *rest)

    monkeypatch.setattr(offering, "offer_some", failing)
    with pytest.raises(RuntimeError):
        fleet.tick()
    assert len(fleet.open_ids()) == 10
    fleet.check()


def test_a_tick_looks_at_no_more_than_it_offers(fleet: Fleet) -> None:
    """Those that must wait are looked at again later, not at each tick."""
    from sqlalchemy import event

    fleet.create(canary=100, battery_mv=3300, **FAST)
    for node_id in fleet.nodes[:60]:
        told(fleet, node_id, 100, 3000)
    fleet.do("start")
    fleet.tick()
    said: list[str] = []
    event.listen(
        fleet.database.engine, "before_cursor_execute", lambda *args: said.append(args[2])
    )
    fleet.tick()
    assert not [each for each in said if "battery" in each or "FROM readings" in each]


def test_registration_gives_nobody_two_places(fleet: Fleet) -> None:
    from sqlalchemy.exc import IntegrityError

    fleet.create(canary=10, **FAST)
    row = fleet.updates()[0]
    again = filling.row(row.rollout_id, 2, 999, row.node_id, "", 5)
    with pytest.raises(IntegrityError), fleet.database.begin() as session:
        session.add(Update(**again))


def test_an_urgent_rollout_keeps_the_limit_and_takes_the_places_of_others(fleet: Fleet) -> None:
    fleet.create(canary=100, per_area=5, **FAST)
    fleet.do("start")
    fleet.tick()
    assert set(in_flight(fleet).values()) == {5}
    with fleet.database.begin() as session:
        rig.add_release(session, 6)
    fleet.create(name="fix", sequence=6, canary=100, per_area=5, urgent=True, **FAST)
    fleet.do("start", "fix")
    fleet.tick()
    assert set(in_flight(fleet).values()) == {5}
    assert {row.sequence for row in fleet.updates(Update.open_for.is_not(None))} == {6}
    fleet.sequence = 6
    for _ in range(10):  # whatever becomes free is the urgent one's
        fleet.move(fleet.open_ids()[:2], states.SUCCEEDED)
        fleet.tick(11)
        assert {row.sequence for row in fleet.updates(Update.open_for.is_not(None))} == {6}
        assert max(in_flight(fleet).values()) == 5
    fleet.check()


@pytest.mark.parametrize(("role", "stays"), [("lamppost", 1), ("drainage", 10)])
def test_what_was_not_taken_when_the_window_closes_is_taken_back_of_nodes_that_come_often(
    fleet: Fleet, role: str, stays: int
) -> None:
    """Who reports seldom would never meet a window."""
    fleet.add(20, "lamppost")
    with fleet.database.begin() as session:
        rig.add_release(session, 6, "lamppost")
    sequence = 6 if role == "lamppost" else 5
    fleet.create(
        f"role = {role}", sequence=sequence, canary=10, windows=("01:00-05:00",), **FAST
    )  # fmt: skip
    fleet.now = int(datetime.fromisoformat("2026-11-27T04:59:00+08:00").timestamp() * 1e6)
    fleet.do("start")
    fleet.tick(1)
    first, *_ = fleet.open_ids()
    fleet.move([first], states.ACCEPTED)
    fleet.tick(60)
    fleet.tick(10)
    assert len(fleet.open_ids()) == stays
    row = fleet.row()
    opens = datetime.fromisoformat("2026-11-28T01:00:00+08:00").timestamp()
    assert (row.why, row.due_us) == ("window", int(opens * 1e6))
    fleet.tick(20 * 3600)
    assert len(fleet.open_ids()) == 10
    fleet.check()
