"""`kapok metering`: a meter's month by commands alone."""

import csv
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fleet_rig as rig
import pytest
from cli_rig import out, out_json, refusal, run
from ledger_rig import DAY, HOUR, Town

from fleet.registry.operations import now_us
from fleet.telemetry.metering import days, guards


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "data"
    out(made, "init")
    return made


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def town(data: Path) -> Iterator[Town]:
    """Two meters that told ten days' ends, the last three of the second are missing."""
    made = Town(data, 2)
    last = days.end_us(days.ended(now_us()))
    made.now = last - 10 * DAY
    for back in range(10, -1, -1):
        for place in range(2):
            made.flow(700, place)
            if place == 0 or back > 2:
                made.report(made.old(place), place=place)
        made.now += DAY if back else HOUR
    yield made
    made.close()


def test_a_month_goes_by_commands(data: Path, town: Town, tmp_path: Path) -> None:
    area, last = rig.AREA, days.ended(town.now)
    until = days.written(last)
    assert out_json(data, "metering", "enrol", "--area", area)["enrolled"] == town.assets
    assert out_json(data, "metering", "enrol") == {"enrolled": [], "waits": [], "silent": 0}
    said = out_json(data, "metering", "read", "--day", until)
    assert said["days"] == {"read": 19, "average": 3}
    assert (said["opened"], said["registers"]) == (1, 2)
    assert "0 day(s) read" in out(data, "metering", "read", "--area", area, "--day", until)
    (one,) = out_json(data, "metering", "exception", "list", "--area", area)
    assert (one["kind"], one["asset_id"]) == ("missing", town.assets[1])
    assert "is with Chen" in out(data, "metering", "exception", "take", "1", "--by", "Chen")
    assert "Chen" in out(data, "metering", "exception", "list", "--kind", "missing")
    assert "no spike" in refusal(data, "metering", "exception", "close", "1", "--accept")
    refusal(data, "metering", "exception", "close", "1", code=2)
    out(data, "metering", "exception", "close", "1", "--note", "battery")
    assert out_json(data, "metering", "exception", "list") == []
    (one,) = out_json(data, "metering", "exception", "list", "--closed")
    assert (one["outcome"], one["note"]) == ("noted", "battery")

    shown = out_json(data, "metering", "show", town.assets[1], "--until", until)
    assert [row["method"] for row in shown][-3:] == ["average"] * 3
    assert shown[-1]["used"] == "0.700 m3"
    assert "estimated" in out(data, "metering", "show", town.assets[1], "--all", "--until", until)
    span = ("--since", days.written(last - 9), "--until", until)
    used = out_json(data, "metering", "consumption", *span)
    assert [row["used"] for row in used] == ["7.000 m3", "7.000 m3"]
    assert [row["estimated_days"] for row in used] == [0, 3]
    by_day = out_json(data, "metering", "consumption", *span, "--of", "district", "--by", "day")
    assert [row["used"] for row in by_day] == ["1.400 m3"] * 10
    assert "7.000 m3" in out(data, "metering", "consumption", *span, "--asset", town.assets[0])

    closed = out_json(data, "metering", "close", "--area", area, "--through", until)
    assert (closed["row_count"], closed["estimated"]) == (2, 1)
    assert "2 row(s)" in out(data, "metering", "close", "--area", area, "--through", until)
    bill = tmp_path / "bill.csv"
    out(data, "metering", "export", "write", "1", "--out", bill)
    raw = bill.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == closed["digest"]
    assert bill.with_name("bill.csv.sha256").read_text() == f"{closed['digest']}  bill.csv\n"
    rows = list(csv.DictReader(raw.decode().splitlines()))
    assert [(row["used"], row["quality"]) for row in rows] == [
        ("7.000", "good"), ("7.000", "estimated"),
    ]  # fmt: skip
    (listed,) = out_json(data, "metering", "export", "list")
    assert listed["digest"] == closed["digest"]
    assert "are as they were signed" in out(data, "metering", "export", "verify")
    assert out_json(data, "metering", "export", "verify")["ok"]
    assert "all hold" in out(data, "migrate", "audit", "2g")

    with closing(sqlite3.connect(data / "kapok.db")) as connection, connection:
        for name in guards.names():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE bill_export_pages SET body = x'00'")
    assert "damaged" in refusal(data, "metering", "export", "verify")
    assert run(data, "metering", "export", "verify", "--json").exit_code == 1
    assert "damaged" in refusal(data, "metering", "export", "write", "1", "--out", bill)
    assert bill.read_bytes() == raw


def test_mistakes_are_one_line(data: Path) -> None:
    out(data, "area", "add", "440106", "Tianhe")
    assert "there is no area" in refusal(data, "metering", "read", "--area", "99")
    assert "has not ended" in refusal(
        data, "metering", "close", "--area", "440106", "--through", "2099-01-01"
    )
    assert "kapok metering enrol" in refusal(
        data, "metering", "close", "--area", "440106", "--through", "2026-01-31"
    )
    assert "is no day" in refusal(data, "metering", "read", "--day", "31.1.2026", code=2)
    assert "there is no export" in refusal(
        data, "metering", "export", "write", "7", "--out", data.parent / "x.csv"
    )
    assert "there is no exception" in refusal(data, "metering", "exception", "take", "7")
    assert "was not read" in refusal(data, "metering", "show", "17")
    assert "is no register" in refusal(data, "metering", "policy", "level")
    assert "zero_days 0: 1 to" in refusal(data, "metering", "policy", "--zero-days", "0")
    said = out_json(data, "metering", "policy", "gas_volume", "--spike-times", "12")
    assert said["spike_times"] == 12
    assert out_json(data, "metering", "policy")["spike_times"] == 12
    refusal(data, "metering", "consumption", "--since", "2026-02-01", "--until", "2026-01-01",
            code=2)  # fmt: skip
