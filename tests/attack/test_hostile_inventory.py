"""An inventory comes from outside: its cells, its size and its report must harm nobody."""

import csv
import zipfile
from pathlib import Path

import cli_rig
import migration_rig as rig
import pytest

from fleet.migration import entries, sheets
from fleet.migration.errors import MigrationError
from fleet.migration.sheets import Sheet


def test_attack_a_workbook_that_inflates_to_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_INFLATED", 1_000_000)
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 1_000_001)
    assert path.stat().st_size < 10_000
    with pytest.raises(MigrationError, match="split it"):
        Sheet(path, "terminals", entries.NEEDED)


def test_attack_a_file_without_end_and_a_cell_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rig.write(tmp_path / "long.csv", [rig.line(1, model="x" * 100_000)])
    (line,) = Sheet(path, "terminals", entries.NEEDED)
    assert len(line.get("model")) == 1000
    path.write_text("terminal,asset,kind,area,model\n" + 'T1,M1,gas,440106,"' + "x" * 200_000)
    with pytest.raises(MigrationError, match="no CSV file"):
        list(Sheet(path, "terminals", entries.NEEDED))
    monkeypatch.setattr(sheets, "MOST_LINES", 2)
    path = rig.write(tmp_path / "many.csv", [rig.line(n) for n in range(3)])
    with pytest.raises(MigrationError, match="over 2 lines"):
        list(Sheet(path, "terminals", entries.NEEDED))
    monkeypatch.setattr(sheets, "MOST_BYTES", 100)
    with pytest.raises(MigrationError, match="split it"):
        Sheet(path, "terminals", entries.NEEDED)


def test_attack_a_name_that_is_a_formula_where_the_report_is_opened(tmp_path: Path) -> None:
    data = tmp_path / "data"
    cli_rig.out(data, "init")
    formula = "=HYPERLINK(1)"
    rig.write(tmp_path / "t.csv", [rig.line(1, terminal=formula, imei="1"), rig.line(2)])
    cli_rig.out(data, "migrate", "import", tmp_path / "t.csv", "--report", tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["terminal"] == f"'{formula}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_attack_names_that_look_like_markup_or_sql_stay_names(tmp_path: Path) -> None:
    data = tmp_path / "data"
    cli_rig.out(data, "init")
    name = "[red]x'); DROP TABLE assets;--"
    rig.write(tmp_path / "t.csv", [rig.line(1, terminal=name, asset=name, imei="1")])
    assert name in cli_rig.out(data, "migrate", "import", tmp_path / "t.csv")
    cli_rig.out(data, "migrate", "plan", "gas", "--area", "44")
    assert name in cli_rig.out(data, "migrate", "show", "gas", "--items")
