"""`kapok migrate import|survey|plan|waves|what-if|show`, as a utility uses them."""

import json
from pathlib import Path

import cli_rig
import migration_rig as rig
import pytest

from fleet.migration import rules


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 60 terminals, a log, sunsets, a plan and its waves."""
    folder = tmp_path_factory.mktemp("city")
    data = folder / "data"
    cli_rig.out(data, "init")
    lines = rig.city(60)
    rig.write(folder / "terminals.csv", lines)
    log = [
        rig.heard(terminal=one["terminal"], cell=f"c{n % 2}")
        for n, one in enumerate(lines)
        if n % 2
    ]
    rig.write(folder / "log.csv", log)
    rig.write(folder / "sunsets.csv", [
        {"operator": "cmcc", "bearer": "2g", "area": "", "day": "2028-06-30"},
        {"operator": "中国移动", "bearer": "GPRS", "area": "440106003", "day": "2027/12/31"},
    ])  # fmt: skip
    cli_rig.out(data, "migrate", "import", folder / "terminals.csv",
                "--sunsets", folder / "sunsets.csv")  # fmt: skip
    cli_rig.out(data, "migrate", "survey", folder / "log.csv", "--area", "440106")
    cli_rig.out(data, "migrate", "plan", "gas", "--area", "440106", "--lang", "en")
    cli_rig.out(data, "migrate", "waves", "gas", "--start", "2026-12-01", "--crews", 2)
    return data


def test_an_import_tells_every_line_and_ends_with_1_where_one_is_refused(
    city: Path, tmp_path: Path
) -> None:
    lines = [rig.line(1), rig.line(900, imei="1"), rig.line(901, kind="rocket")]
    lines[0] = rig.city(60)[0]
    assert cli_rig.out_json(city, "migrate", "show", "--faults") == []
    rig.write(tmp_path / "more.csv", lines)
    done = cli_rig.run(
        city, "migrate", "import", tmp_path / "more.csv", "--dry-run", "--report",
        tmp_path / "report.csv", "--json",
    )  # fmt: skip
    assert done.exit_code == 1
    said = json.loads(done.stdout)["terminals"]
    assert (said["same"], said["added"], said["refused"]) == (1, 1, 1)
    assert said["faults"] == {"imei-shape": 1, "kind": 1}
    report = (tmp_path / "report.csv").read_text(encoding="utf-8-sig").splitlines()
    assert [row.split(",")[2] for row in report[1:]] == ["same", "added", "refused"]
    assert cli_rig.refusal(city, "migrate", "import", code=2).startswith("kapok: a file of")


def test_a_plan_tells_each_choice_and_its_cost(city: Path) -> None:
    said = cli_rig.out_json(city, "migrate", "plan", "gas", "--lang", "en")
    assert (said["same"], said["changed"], said["terminals"]) == (60, 0, 60)
    items = cli_rig.out_json(city, "migrate", "show", "gas", "--items", "--limit", "1000")
    assert {one["bearer"] for one in items} == {"NB-IoT", "Cat1"}
    assert all(one["because"].startswith(f"{one['bearer']}: ") for one in items)
    assert all(one["wave"] and one["due_day"] >= "2026-12-01" for one in items)
    text = cli_rig.out(city, "migrate", "show", "gas", "--items", "--bearer", "NB-IoT")
    assert "NB-IoT: battery, static, 1 report/day, ECL 1 by" in text
    one = cli_rig.out_json(city, "migrate", "show", "gas", "--terminal", items[0]["terminal"])
    assert one["rules"][-1]["holds"]


def test_waves_and_cells_are_shown(city: Path) -> None:
    said = cli_rig.out_json(city, "migrate", "show", "gas")
    assert sum(one["terminals"] for one in said["list"]) == 60
    assert said["list"][0]["terminals"] == 10  # the canary's least
    cells = cli_rig.out_json(city, "migrate", "show", "gas", "--cells")
    nb = next(one["terminals"] for one in said["shares"] if one["bearer"] == "NB-IoT")
    assert sum(one["terminals"] for one in cells) == nb
    assert cli_rig.out_json(city, "migrate", "show") == [
        {"name": "gas", "area": "440106", "items": 60}
    ]
    assert "canary" not in cli_rig.out(city, "migrate", "show", "gas")


def test_a_configuration_shows_what_its_plug_in_would_send(tmp_path: Path) -> None:
    data = tmp_path / "data"
    cli_rig.out(data, "init")
    tac = {"tac": "86722304", "model": "BG96", "bearers": "2g nb", "configured by": "quectel-nb"}
    rig.write(tmp_path / "tacs.csv", [tac])
    rig.write(tmp_path / "t.csv", [rig.line(1, **{"sim bearers": "GPRS NB-IoT"}), rig.line(2)])
    rig.write(tmp_path / "log.csv", [rig.heard(terminal="T1"), rig.heard(terminal="T2")])
    cli_rig.out(data, "migrate", "import", tmp_path / "t.csv", "--tacs", tmp_path / "tacs.csv")
    cli_rig.out(data, "migrate", "survey", tmp_path / "log.csv", "--area", rig.AREA)
    cli_rig.out(data, "migrate", "plan", "gas", "--area", rig.AREA)
    said = cli_rig.out_json(data, "migrate", "show", "gas", "--terminal", "T1", "--apn", "cmnbiot")
    assert said["items"][0]["path"] == "configuration"
    assert said["sends"][0]["send"] == 'AT+CGDCONT=1,"IP","cmnbiot"'
    assert said["back"][0]["send"] == 'AT+QCFG="nwscanmode",0,1'
    other = cli_rig.out_json(data, "migrate", "show", "gas", "--terminal", "T2", "--apn", "x")
    assert (other["items"][0]["path"], other["sends"]) == ("replacement", [])
    assert "connection: AT+QCFG" in cli_rig.out(
        data, "migrate", "show", "gas", "--terminal", "T1", "--apn", "cmnbiot"
    )


def test_what_if_compares_and_keeps_nothing(city: Path, tmp_path: Path) -> None:
    before = cli_rig.out(city, "migrate", "show", "gas", "--items", "--json")
    own = rules.load().text.replace("bytes_day > 10000", "bytes_day > 2000")
    (tmp_path / "cautious.toml").write_text(own, encoding="utf-8")
    said = cli_rig.out_json(
        city, "migrate", "what-if", "gas", "--rules", tmp_path / "cautious.toml", "--crews", 1,
        "--crews", 4,
    )  # fmt: skip
    assert [one["name"] for one in said] == [
        "as planned, 1 crews", "as planned, 4 crews", "cautious.toml, 1 crews",
        "cautious.toml, 4 crews",
    ]  # fmt: skip
    assert [one["differs"] == 0 for one in said] == [True, True, False, False]
    assert said[0]["last_day"] > said[1]["last_day"]
    assert said[2]["bearers"]["Cat1"] == said[0]["bearers"]["Cat1"] + said[2]["differs"]
    text = cli_rig.out(city, "migrate", "what-if", "gas", "--crews", 1, "--crews", 9)
    assert "too late" in text
    assert cli_rig.out(city, "migrate", "show", "gas", "--items", "--json") == before


def test_refusals_are_one_line_and_say_what_to_do(city: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("rule = 1")
    for arguments, why in (
        (("plan", "other"), "--area CODE"),
        (("waves", "other"), "kapok migrate plan"),
        (("waves", "gas", "--freeze", "40-3"), "days of the month"),
        (("waves", "gas", "--start", "tomorrow"), "such as 2026-12-01"),
        (("waves", "gas", "--work", "never"), "window"),
        (("plan", "gas", "--rules", tmp_path / "bad.toml"), "another shape"),
        (("show", "gas", "--terminal", "T999"), "no part"),
    ):
        assert why in cli_rig.refusal(city, "migrate", *arguments)
    assert "NAME" in cli_rig.refusal(city, "migrate", "plan", code=2)


def test_the_rules_that_come_along_can_be_printed_and_used(city: Path, tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(cli_rig.out(city, "migrate", "plan", "--print-rules"), encoding="utf-8")
    said = cli_rig.out_json(
        city, "migrate", "what-if", "gas", "--rules", path, "--start", "2026-12-01"
    )
    assert said[0] == {**said[1], "name": said[0]["name"]}
