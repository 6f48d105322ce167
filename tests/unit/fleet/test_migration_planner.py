"""The planner: targets and paths by rules that are data, each with its reason."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import migration_rig as rig
import pytest
from sqlalchemy import select, text, update

from fleet.db.base import Base, Database
from fleet.migration import choice, facts, planner, rules, scheduling, summary
from fleet.migration.errors import MigrationError
from fleet.migration.facts import Subject
from fleet.migration.inventory_tables import LegacyTerminal, TacModel
from fleet.migration.survey_tables import Coverage
from fleet.migration.tables import MigrationItem

OWN = rules.load()
NEAR = "NB-IoT: battery, static, 1 report/day, ECL 1 by 14 neighbours within 80 m"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_city(tmp_path)
    yield opened
    opened.close()


def covered(ecl: int | None = 1, **changes: Any) -> Coverage:
    known: dict[str, Any] = {
        "site_id": 1, "operator": "cmcc", "bearer": "nb", "ecl": ecl, "rsrp_dbm": -114,
        "snr_db": 3, "cell": "c1", "by": "neighbours", "samples": 14, "radius_m": 80,
        "confidence": "medium", "made_us": 0,
    }  # fmt: skip
    return Coverage(**{**known, **changes})


def subject(
    coverage: tuple[Coverage, ...] = (), model: TacModel | None = None, kind: str = "gas-meter",
    sunset: int | None = rig.TODAY + 100, **changes: Any,
) -> Subject:  # fmt: skip
    known: dict[str, Any] = {
        "number": "T1", "model": "", "protocol": "cjt188", "operator": "cmcc", "bearer": "2g",
        "capable": "", "power": "battery", "mobility": "static", "voice": "no", "bytes_day": 400,
        "reports_day": 1, "latency_ms": 86_400_000, "rate_kbit": None, "sim": "plastic",
        "sim_bearers": "", "sim_lock": "", "site_state": "in-use", "access": "",
    }  # fmt: skip
    row = LegacyTerminal(**{**known, **changes})
    return Subject(row, 1, 1, kind, rig.AREA, model, coverage, sunset)


def model(bearers: str, module: str = "", by: str = "") -> TacModel:
    return TacModel(tac="86722304", model="X", bearers=bearers, module=module, configured_by=by)


def chosen(one: Subject, lang: str = "en") -> choice.Choice:
    return choice.choose(one, OWN, rig.TODAY, lang)


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (
            subject((covered(),)),
            NEAR,
        ),
        (
            subject((covered(2, by="own", samples=12),), reports_day=24),
            "NB-IoT: battery, static, 24 reports/day, ECL 2 by 12 readings at the site",
        ),
        (
            subject((covered(0, samples=1, radius_m=290, confidence="low"),)),
            NEAR.replace("1 by 14 neighbours within 80", "0 by 1 neighbour within 290")
            + ", low confidence",
        ),
        (
            subject((covered(None), covered(1, operator="ctcc"))),
            f"{NEAR} (ctcc)",
        ),
        (
            subject((covered(None),)),
            "gateway: battery, no NB-IoT by 14 neighbours within 80 m",
        ),
        (
            subject(),
            "legacy: battery, coverage unknown: survey the site; until 2025-01-12",
        ),
        (subject((covered(),), voice="yes"), "Cat1: voice"),
        (subject((covered(),), mobility="mobile"), "Cat1: moves, and NB-IoT has no handover"),
        (subject((covered(),), bytes_day=10_001), "Cat1: 10 kB a day"),
        (subject(power="mains", latency_ms=5000), "Cat1: mains, an answer within 5 s"),
        (subject(rate_kbit=8000, voice="yes"), "RedCap: needs 8 Mbit/s"),
        (subject(latency_ms=20), "RedCap: an answer within 20 ms"),
        (subject(site_state="dead"), "none: its site is gone"),
        (
            subject(power="mains", latency_ms=3_600_000, sunset=None),
            "legacy: no rule moves it: mains, 1 h; no sunset is known",
        ),
        (
            subject((covered(),), power="", latency_ms=None),
            f"{NEAR}; assumed: power, latency",
        ),
    ],
)
def test_each_choice_is_told_in_one_line(one: Subject, line: str) -> None:
    assert chosen(one).because == line


def test_battery_with_a_short_answer_is_no_nb_iot() -> None:
    assert chosen(subject((covered(),), latency_ms=9999)).bearer == "legacy"
    assert chosen(subject((covered(),), latency_ms=10_000)).bearer == "NB-IoT"
    assert chosen(subject((covered(),), bytes_day=10_000)).bearer == "NB-IoT"


def test_what_nobody_knows_moves_nothing() -> None:
    one = subject((covered(),), kind="rocket", power="", mobility="", voice="", latency_ms=None)
    assert chosen(one).rule == "else"


@pytest.mark.parametrize(
    ("one", "path"),
    [
        (subject((covered(),)), "replacement"),
        (subject((covered(),), model=model("2g", "socket")), "module-swap"),
        (subject((covered(),), model=model("2g nb")), "sim-swap"),
        (subject((covered(),), model=model("2g nb"), sim="esim"), "esim-profile"),
        (
            subject((covered(),), model=model("2g nb", by="at"), sim_bearers="2g nb"),
            "configuration",
        ),
        (subject((covered(),), model=model("2g nb", by="at"), sim_bearers="2g"), "sim-swap"),
        # A card has no coverage of another operator's.
        (
            subject(
                (covered(None), covered(operator="ctcc")),
                model=model("2g nb", by="at"),
                sim_bearers="2g nb",
            ),
            "sim-swap",
        ),
        (
            subject(
                (covered(operator="ctcc"),),
                model=model("2g nb", by="at"),
                sim="esim",
                sim_bearers="2g nb",
            ),
            "esim-profile",
        ),
        (
            subject(
                (covered(operator="ctcc"),),
                model=model("2g nb", by="at"),
                operator="",
                sim_bearers="2g nb",
            ),
            "sim-swap",
        ),
        # Of Cat1 nobody has surveyed the coverage.
        (
            subject(
                (covered(operator="ctcc"),),
                model=model("2g cat1", by="at"),
                voice="yes",
                sim_bearers="2g cat1",
            ),
            "configuration",
        ),
        (subject((covered(),), capable="2g nb"), "sim-swap"),
        # Of two words the type's counts: it is the modem's own.
        (subject((covered(),), capable="2g nb", model=model("2g")), "replacement"),
        (subject((covered(),), model=model("2g nb"), sim="soldered"), "replacement"),
        (subject((covered(None),)), "gateway-bridge"),
        (subject(), "master-station"),
        (subject(site_state="dead"), "retire"),
    ],
)
def test_the_path_is_the_least_that_gets_there(one: Subject, path: str) -> None:
    assert chosen(one).path == path


def test_the_reasons_in_chinese() -> None:
    line = chosen(subject((covered(),)), "zh").because
    assert line == "NB-IoT: 电池，固定，每日上报 1 次，覆盖等级 1（80 米内 14 个邻点）"


def test_all_rules_up_to_the_one_that_decides_are_told() -> None:
    steps = choice.steps(subject((covered(),)), OWN, rig.TODAY)
    assert [one.name for one in steps if one.holds] == ["battery-nb"]
    assert steps[-1].name == "battery-nb"
    assert steps[0].name == "dead"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('bearer = "RedCap"', 'bearer = "6G"', "rule high-rate: bearer is one of"),
        ('when = "rate >= 5000"', 'when = "speed >= 5000"', "high-rate: query, column 1: 'speed'"),
        ('when = "rate >= 5000"', 'when = "rate >= fast"', "a whole number"),
        ('when = "voice = yes"', 'when = "voice > yes"', "voice is a word"),
        ("needs {rate}", "needs {speed}", "{speed} is none of"),
        ('name = "retire"', 'name = "bury"', "path bury: one of"),
        ("minutes = 20", "minutes = -20", "a whole number"),
        ("[coverage]", "[covrage]", "coverage is missing"),
        ("radii_m = [80, 150, 300]", "radii_m = [300, 80]", "radii_m"),
        ("tones = 12", "tones = 0", "tones"),
        ("[[rule]]", "[[rule]", "no TOML"),
        ('because = { en = "voice", zh = "需要语音" }', 'because = "voice"', "another shape"),
    ],
)
def test_rules_that_cannot_be_are_refused_with_the_entry(old: str, new: str, why: str) -> None:
    assert old in OWN.text
    with pytest.raises(MigrationError, match=why.replace("{", "[{]")) as refused:
        rules.read(OWN.text.replace(old, new, 1))
    assert "\n" not in str(refused.value)


def test_rules_without_an_end_say_so() -> None:
    cut = OWN.text.replace('name = "else"\nbearer = "legacy"\nwhen = "all"',
                           'name = "else"\nbearer = "legacy"\nwhen = "voice = yes"')  # fmt: skip
    with pytest.raises(MigrationError, match="no rule is for terminal T1"):
        choice.choose(subject(power="mains"), rules.read(cut), rig.TODAY)


def everything_else(database: Database) -> dict[str, list[Any]]:
    """All rows of all tables but the programmes' own."""
    with database.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table))]
            for table in Base.metadata.sorted_tables
            if table.name not in ("migration_programmes", "migration_items")
        }


def items(database: Database, name: str = "gas") -> dict[str, tuple[Any, ...]]:
    with database.read() as session:
        programme = planner.get(session, name)
        rows = session.execute(
            select(
                LegacyTerminal.number, MigrationItem.bearer, MigrationItem.path,
                MigrationItem.because, MigrationItem.wave, MigrationItem.id,
            )
            .join(LegacyTerminal, LegacyTerminal.terminal_id == MigrationItem.old_terminal_id)
            .where(MigrationItem.programme_id == programme.id)
        )  # fmt: skip
        return {number: tuple(rest) for number, *rest in rows}


def mixed(database: Database, folder: Path) -> None:
    """Meters at 4, 9, 11 and 20 kB a day; half of them with a measurement of their own."""
    sizes = [4000, 9000, 11_000, 20_000]
    lines = [rig.line(n, **{"bytes per day": sizes[n % 4]}) for n in range(1, 41)]
    rig.bring(database, folder, lines)
    rig.measure(
        database, folder,
        [rig.heard(terminal=f"T{n}", ecl=n % 3, rsrp=-100) for n in range(1, 41, 2)],
    )  # fmt: skip


def test_one_rule_that_changes_changes_the_plan_and_nothing_else(
    database: Database, tmp_path: Path
) -> None:
    mixed(database, tmp_path)
    assert rig.plan(database).added == 40
    before, world = items(database), everything_else(database)
    changed = OWN.text.replace("bytes_day > 10000", "bytes_day > 8000")
    done = rig.plan(database, changed)
    after = items(database)
    touched = {number for number in before if before[number] != after[number]}
    # Exactly those between the two limits, and they say why.
    assert touched == {f"T{n}" for n in range(1, 41) if n % 4 == 1}
    assert {after[number][0] for number in touched} == {"Cat1"}
    assert {after[number][2] for number in touched} == {"Cat1: 9000 B a day"}
    assert (done.changed, done.same, done.added, done.removed) == (10, 30, 0, 0)
    assert everything_else(database) == world
    # And back: the very same items, by their ids.
    rig.plan(database)
    assert items(database) == before


def test_each_rule_alone_decides_only_over_its_own(database: Database, tmp_path: Path) -> None:
    """Without a rule, only terminals that it decided over are decided otherwise."""
    mixed(database, tmp_path)
    with database.read() as session:
        subjects = list(planner.subjects(session, rig.AREA))
    before = {one.row.number: choice.choose(one, OWN, rig.TODAY) for one in subjects}
    for rule in OWN.rules[:-1]:
        never = OWN.text.replace(f'when = "{rule.source}"', 'when = "not all"', 1)
        after = {
            one.row.number: choice.choose(one, rules.read(never), rig.TODAY) for one in subjects
        }
        touched = {number for number in before if before[number] != after[number]}
        assert touched == {number for number, one in before.items() if one.rule == rule.name}


def test_what_is_under_way_stays_and_what_is_gone_is_let_go(
    database: Database, tmp_path: Path
) -> None:
    rig.bring(database, tmp_path, [rig.line(n) for n in (1, 2, 3)])
    rig.plan(database)
    with database.begin() as session:
        first = select(LegacyTerminal.terminal_id).where(LegacyTerminal.number == "T1")
        is_first = MigrationItem.old_terminal_id == first.scalar_subquery()
        session.execute(update(MigrationItem).values(wave=5))
        session.execute(update(MigrationItem).where(is_first).values(state="ready", wave=4))
        session.execute(text("UPDATE legacy_terminals SET bearer = 'cat1' WHERE number = 'T3'"))
    before = items(database)["T1"]
    everybody = OWN.text.replace('when = "voice = yes"', 'when = "voice = no"')
    done = rig.plan(database, everybody)
    assert (done.changed, done.removed, done.under_way) == (1, 1, 1)
    found = items(database)
    assert found["T1"] == before
    assert found["T2"][:2] == ("Cat1", "replacement")
    assert found["T2"][3] is None  # it is another visit now
    assert "T3" not in found


def test_a_plan_that_rewords_keeps_the_waves(database: Database, tmp_path: Path) -> None:
    rig.bring(database, tmp_path, [rig.line(1)])
    rig.plan(database)
    with database.begin() as session:
        session.execute(text("UPDATE migration_items SET wave = 2"))
    assert rig.plan(database, lang="zh").reworded == 1
    assert items(database)["T1"][3] == 2


def test_a_programme_keeps_its_area_and_its_rules(database: Database, tmp_path: Path) -> None:
    rig.bring(database, tmp_path, [rig.line(1)])
    rig.plan(database, OWN.text + "\n# ours\n")
    with database.begin() as session:
        assert planner.get(session, "gas").rules.endswith("# ours\n")
        with pytest.raises(MigrationError, match="is of area"):
            planner.make(session, "gas", "4403", OWN)
        with pytest.raises(MigrationError, match="--area CODE"):
            planner.make(session, "new", "", OWN)
        with pytest.raises(MigrationError, match="of a-z"):
            planner.make(session, "New one", "4401", OWN)
        assert scheduling.steps(session, planner.get(session, "gas"), "T9") == (None, [])


def test_cost_and_work_are_whole_numbers_by_the_programmes_rules(
    database: Database, tmp_path: Path
) -> None:
    mixed(database, tmp_path)
    rig.plan(database)
    with database.read() as session:
        total = summary.of(session, planner.get(session, "gas"))
    by_path = {(one.bearer, one.path): one for one in total.shares}
    cat1 = by_path["Cat1", "replacement"]
    assert (cat1.terminals, cat1.minutes, cat1.fen) == (20, 20 * 45, 20 * 25_000)
    assert total.terminals == 40
    assert summary.yuan(total.fen) == f"{total.fen // 100}.00"
    assert json.loads(json.dumps(total.as_json()))["without_wave"] == 40


def test_the_other_operators_coverage_counts_where_its_own_has_none() -> None:
    known = facts.of(subject((covered(None), covered(2, operator="ctcc"))), OWN, rig.TODAY)
    assert known.facts["nb"] == "covered"
    assert known.coverage is not None
    assert known.coverage.operator == "ctcc"
