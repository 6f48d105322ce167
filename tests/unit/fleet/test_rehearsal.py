"""`kapok migrate rehearse`: what it plays is true to itself, harms nothing, and sees too much."""

import hashlib
import json
import shutil
from pathlib import Path

import cli_rig
import migration_rig as rig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from fleet.db.base import Database
from fleet.legacy.intake import Value
from fleet.legacy.mapping import Meanings
from fleet.migration import adopting, rules, states
from fleet.migration.reads import fetch
from fleet.migration.rehearsal import hearing, speaking
from fleet.migration.rehearsal.alone import rehearse_copy
from fleet.migration.rehearsal.chances import NOTHING
from fleet.migration.rehearsal.copying import copy
from fleet.migration.rehearsal.flows import DAY_US, UNIT, Dial, Flow
from fleet.migration.rehearsal.hearing import hear
from fleet.migration.rehearsal.run import Rehearsal, Rehearsed
from fleet.migration.rehearsal.speaking import Contact
from fleet.migration.rehearsal.verdict import judge
from fleet.migration.tables import MigrationItem
from fleet.registry.tables import Installation
from fleet.telemetry.tables import Reading

AT = 20_500 * DAY_US + 7_200_000_000
FEW = settings(max_examples=30, deadline=None)


@FEW
@given(st.integers(0, 2**63), st.lists(st.integers(0, 40 * DAY_US), min_size=2, max_size=8))
def test_a_flow_never_goes_back_and_is_the_same_again(seed: int, times: list[int]) -> None:
    flow, again = Flow(seed, AT, 700), Flow(seed, AT, 700)
    told = [flow.at(AT + time) for time in sorted(times)]
    assert told == sorted(told)
    assert all(value % UNIT == 0 for value in told)
    assert told == [again.at(AT + time) for time in sorted(times, reverse=True)][::-1]


@FEW
@given(st.integers(10, 10**6).map(lambda one: one * UNIT), st.integers(0, 30 * DAY_US))
def test_a_dial_shows_what_flowed_since_and_begins_anew(modulus: int, later: int) -> None:
    flow = Flow(5, AT, 0)
    dial = Dial(flow, -300, modulus)
    assert dial.at(AT + later) == (flow.at(AT + later) + 300) % modulus


def test_a_dial_that_is_taken_off_stands_still() -> None:
    flow = Flow(5, AT, 0)
    dial, kept = Dial(flow, 0), Dial(flow, 0)
    off, on, later = AT + 2 * DAY_US, AT + 6 * DAY_US, AT + 9 * DAY_US
    dial.take_off(off)
    assert dial.at(AT) == kept.at(AT)
    assert dial.at(on) == kept.at(off)
    dial.put_on(on)
    assert dial.at(on) == kept.at(off)
    assert dial.at(later) == kept.at(off) + kept.at(later) - kept.at(on)


def test_what_is_said_is_heard_in_each_protocol() -> None:
    imei = rig.imei(7)
    opening = b"IMEI:" + imei.encode()
    said = {
        "cjt188": (Contact("cjt188", opening, (speaking.gas("1" * 14, 1, 1_234_560, AT),), AT),
                   ("imei", imei, ""), [Value(1, AT, 1_234_560)]),
        "modbus": (Contact("modbus", opening, (speaking.flow_computer(7_654_300),), AT),
                   ("imei", imei, ""), [Value(1, AT, 7_654_300)]),
        "dlt645": (Contact("dlt645", b"box-7\r\n", (speaking.energy("0" * 11 + "7", 98765),), AT),
                   ("text", "box-7", "0" * 11 + "7"), [Value(22, AT, 98765)]),
        "sl651": (Contact("sl651", b"", (speaking.station("0012345678", 3, 1830, AT),), AT),
                  ("sl651", "0012345678", ""), [Value(2, AT, 1830)]),
        "hj212": (Contact("hj212", b"", (speaking.monitor("M" * 24, 215, 640, AT),), AT),
                  ("hj212", "M" * 24, ""), [Value(32, AT, 215), Value(33, AT, 640)]),
    }  # fmt: skip
    for name, (contact, source, values) in said.items():
        heard = hear(contact)
        assert not heard.garbage, name
        (arrival,) = heard.arrivals
        assert tuple(arrival.source) == source, name
        assert arrival.values == values, name
        assert len(heard.answers) == (name in ("sl651", "hj212")), name
    broken = said["cjt188"][0]
    heard = hear(broken._replace(pieces=(broken.pieces[0][:-1] + b"\x17",)))
    assert (heard.arrivals, heard.garbage) == ([], 1)


def test_frames_are_read_as_the_fleet_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong in the fleet's own tables is wrong in a rehearsal, too."""
    level = Contact("sl651", b"", (speaking.station("0012345678", 3, 1830, AT),), AT)
    own = {"sl651": {"Z": {"quantity": "level", "unit": "m", "factor": "10"}}}
    monkeypatch.setattr(hearing, "_MEANINGS", Meanings(own))
    assert hear(level).arrivals[0].values == [Value(2, AT, 18_300)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet with a planned programme of eight terminals, two of them without any address."""
    folder = tmp_path_factory.mktemp("rehearsed")
    made = folder / "data"
    cli_rig.out(made, "init")
    lines = rig.city(8, seed=3)
    for line in lines:
        line |= {"protocol": "", "digits": "", "decimals": ""}
    lines[0] |= {"protocol": "cjt188", "unit": "m3", "decimals": 2, "digits": 8}
    lines[1] |= {"protocol": "modbus", "imei": "", "unit": "m3", "decimals": 1, "digits": 6}
    rig.write(folder / "terminals.csv", lines)
    log = [rig.heard(terminal=one["terminal"], cell="c1", ecl=2, rsrp=-122) for one in lines]
    rig.write(folder / "log.csv", log)
    (folder / "rules.toml").write_text(
        rules.DEFAULT.read_text(encoding="utf-8").replace("tones = 12", "tones = 1")
        .replace("busy_permille = 500", "busy_permille = 5"), encoding="utf-8",
    )  # fmt: skip
    cli_rig.out(made, "migrate", "import", folder / "terminals.csv")
    cli_rig.out(made, "migrate", "survey", folder / "log.csv", "--area", "440106")
    cli_rig.out(made, "migrate", "plan", "gas", "--area", "440106", "--rules",
                folder / "rules.toml")  # fmt: skip
    cli_rig.out(made, "migrate", "waves", "gas", "--crews", 1, "--work", "mon-sun 09:00-11:00",
                "--watch", 1)  # fmt: skip
    cli_rig.out(made, "migrate", "ledger", "policy", "gas", "--dual", "2d", "--compared", 2,
                "--back", "3d")  # fmt: skip
    return made


def _digest(data: Path) -> str:
    return hashlib.sha256((data / "kapok.db").read_bytes()).hexdigest()


def test_a_programme_is_played_to_its_end_and_nothing_of_the_fleet_changes(data: Path) -> None:
    before = _digest(data)
    said = cli_rig.out_json(data, "migrate", "rehearse", "gas", "--rollbacks", 4)
    assert _digest(data) == before
    proof = said["verdict"]
    assert said["is_well"]
    assert said["states"] == {"decommissioned": said["moved"]} or said["moved"] < said["items"]
    assert proof["told"] == proof["stored"] > 100
    assert (proof["lost"], proof["twice"], proof["less"], proof["more"]) == (0, 0, [], [])
    assert sum(said["rolled_back"].values()) >= 4
    assert said["breach"] == ""
    # One cell for all at the worst level, and one crew with two hours a day: too much of both.
    assert [one["what"] for one in said["cells"]] == ["airtime"]
    assert said["crews"]


def test_people_are_told_in_lines(data: Path) -> None:
    told = cli_rig.out(data, "migrate", "rehearse", "gas", "--calm", "--rollbacks", 0)
    assert "gaps: none" in told
    assert "0 billed twice, 0 lost" in told
    assert "audit: I1 to I7 and the evidence hold" in told
    assert "overloaded cells" in told


def test_a_rehearsal_needs_a_programme_with_days(data: Path) -> None:
    assert "no programme 'nobody'" in cli_rig.refusal(data, "migrate", "rehearse", "nobody")
    cli_rig.out(data, "migrate", "plan", "bare", "--area", "440106")
    assert "has no days" in cli_rig.refusal(data, "migrate", "rehearse", "bare")


def test_the_copy_has_no_reading_and_no_progress(data: Path, tmp_path: Path) -> None:
    own = Database(f"sqlite:///{tmp_path / 'own.db'}")
    source = Database(f"sqlite:///{data / 'kapok.db'}")
    try:
        copy(source, own, "gas")
        with own.read() as session:
            items = session.scalars(select(MigrationItem)).all()
            assert {item.state for item in items} == {"planned"}
            assert len(items) == 8
            assert session.scalar(select(Reading.id).limit(1)) is None
    finally:
        own.close()
        source.close()


def test_a_programme_under_way_is_rehearsed_from_its_beginning(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "kapok.db", tmp_path)
    source = Database(f"sqlite:///{tmp_path / 'kapok.db'}")
    with source.begin() as session:
        items = session.scalars(select(MigrationItem).order_by(MigrationItem.id).limit(4)).all()
        for item in items:  # as a swap leaves it that takes the old terminal away
            item.state = states.INSTALLED
            place = session.scalars(
                select(Installation).where(Installation.terminal_id == item.old_terminal_id)
            ).one()
            place.to_us, place.open_for = place.from_us + 1, None
    source.close()
    found = _played(tmp_path)
    assert found.is_well, found


def _played(data: Path) -> Rehearsed:
    source = Database(f"sqlite:///{data / 'kapok.db'}")
    try:
        return rehearse_copy(source, "gas", seed=1, rollbacks=0, calm=True)
    finally:
        source.close()


def test_a_ledger_that_begins_late_bills_less_than_flowed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "fetch", lambda *args: [each[1:] for each in fetch(*args)])
    found = _played(data)
    assert len(found.verdict.less) == found.verdict.registers > 5
    assert (found.verdict.more, found.breach) == ((), "")  # nothing else sees it


def test_a_meter_that_is_in_no_ledger_is_missed(data: Path, tmp_path: Path) -> None:
    own = Database(f"sqlite:///{tmp_path / 'own.db'}")
    source = Database(f"sqlite:///{data / 'kapok.db'}")
    try:
        copy(source, own, "gas")
        street = Rehearsal(own, "gas", NOTHING, lambda *_: None).street
        end_us = street.start_us + 9 * DAY_US
        assert not judge(own, street, end_us).less  # nobody was asked for
        asset_id = min(street.flows)
        street.began[asset_id] = street.start_us
        (wrong,) = judge(own, street, end_us).less
        assert (wrong.asset_id, wrong.billed) == (asset_id, 0)
        assert wrong.flowed > 0
    finally:
        own.close()
        source.close()


def test_a_harmed_bill_ends_with_1(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.bench import migration_sabotage

    migration_sabotage.apply(migration_sabotage.UNTIED, monkeypatch.setattr)
    done = cli_rig.run(data, "migrate", "rehearse", "gas", "--calm", "--rollbacks", 0, "--json")
    said = json.loads(done.stdout)
    assert not said["is_well"]
    assert said["verdict"]["less"] or said["verdict"]["more"]
    assert said["breach"].startswith("I1")
    assert done.exit_code == 1
    assert "was harmed" in done.stderr
