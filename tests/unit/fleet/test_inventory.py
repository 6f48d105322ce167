"""Inventories: what comes in, what is left out of a line and why, and that twice is once."""

import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import migration_rig as rig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from fleet.db.base import Database
from fleet.migration import behind, columns, entries, inventory, numbers
from fleet.migration.errors import MigrationError
from fleet.migration.inventory import Told
from fleet.migration.inventory_tables import InventoryFault, LegacyTerminal, TacModel
from fleet.migration.sheets import LOST, Line, Sheet
from fleet.registry import legacy_ids
from fleet.registry.luhn import luhn
from fleet.registry.operations import RegistryError, check_node_id
from fleet.registry.sub_tables import SubDevice
from fleet.registry.tables import Asset, Installation, Site, Terminal
from fleet.wire.nodeid import ALPHABET


@pytest.fixture
def database(tmp_path: Path) -> Any:
    opened = rig.open_city(tmp_path)
    yield opened
    opened.close()


def codes(told: Told) -> list[str]:
    return [code for code, _ in told.faults]


def terminal(database: Database, number: str) -> tuple[Terminal, LegacyTerminal]:
    with database.read() as session:
        row = session.scalars(select(LegacyTerminal).where(LegacyTerminal.number == number)).one()
        return session.get_one(Terminal, row.terminal_id), row


def test_a_line_joins_asset_terminal_imei_card_site_and_area(
    database: Database, tmp_path: Path
) -> None:
    (told,) = rig.bring(database, tmp_path, [rig.line(1, index="1234.567", digits=9, decimals=3)])
    assert told == Told(2, "T1", "added", ())
    found, row = terminal(database, "T1")
    assert (found.kind, found.role, found.imei, found.area_code) == (
        "legacy", "gas-meter", rig.imei(1), rig.AREA,
    )  # fmt: skip
    assert (row.power, row.latency_ms, row.first_index) == ("battery", 86_400_000, "1234.567")
    with database.read() as session:
        asset, site = session.execute(
            select(Asset, Site)
            .join(Site, Site.id == Asset.site_id)
            .join(Installation, Installation.asset_id == Asset.id)
            .where(Installation.open_for == found.id)
        ).one()
    assert (asset.name, asset.kind, site.name) == ("M1", "gas-meter", "house 1")
    assert asset.latitude_e7 == 231_301_000


def test_the_same_file_again_changes_nothing_and_a_corrected_one_does(
    database: Database, tmp_path: Path
) -> None:
    lines = [rig.line(1), rig.line(2, imei=rig.imei(2)[:-1] + "x")]
    assert [codes(one) for one in rig.bring(database, tmp_path, lines)] == [[], ["imei-shape"]]
    assert {one.outcome for one in rig.bring(database, tmp_path, lines)} == {"same"}
    first, second = rig.bring(database, tmp_path, [lines[0], rig.line(2)])
    assert (first.outcome, second.outcome, second.faults) == ("same", "changed", ())
    assert terminal(database, "T2")[0].imei == rig.imei(2)
    with database.read() as session:
        assert session.scalars(select(InventoryFault)).all() == []


def test_a_dry_run_says_the_same_and_keeps_nothing(database: Database, tmp_path: Path) -> None:
    lines = [rig.line(n) for n in range(3)] + [rig.line(9, kind="rocket")]
    sheet = Sheet(rig.write(tmp_path / "t.csv", lines), "terminals", entries.NEEDED)
    said = list(inventory.rehearse(database, sheet))
    with database.read() as session:
        assert session.scalars(select(LegacyTerminal)).all() == []
        assert session.scalars(select(Asset)).all() == []
    assert said == list(inventory.bring_in(database, sheet))


def test_a_run_that_was_cut_is_run_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "CHUNK", 3)
    lines = [rig.line(n) for n in range(10)] + [rig.line(11, imei=rig.imei(2))]
    sheet = Sheet(rig.write(tmp_path / "t.csv", lines), "terminals", entries.NEEDED)
    cut = inventory.bring_in(database, sheet)
    assert isinstance(cut, Generator)
    assert [next(cut).outcome for _ in range(4)] == ["added"] * 4
    cut.close()
    told = list(inventory.bring_in(database, sheet))
    assert [one.outcome for one in told] == ["same"] * 6 + ["added"] * 5
    assert {one.outcome for one in inventory.bring_in(database, sheet)} == {"same"}
    with database.read() as session:
        assert len(session.scalars(select(Asset)).all()) == 11


def test_two_lines_that_claim_one_number_both_lose_it(database: Database, tmp_path: Path) -> None:
    """Nobody here knows which of the two is right."""
    told = rig.bring(
        database, tmp_path,
        [rig.line(1), rig.line(2, imei=rig.imei(1)), rig.line(3, iccid=f"898600{1:014d}")],
    )  # fmt: skip
    assert [codes(one) for one in told] == [
        ["imei-twice", "iccid-twice"], ["imei-twice"], ["iccid-twice"]
    ]  # fmt: skip
    assert "line 3, too" in told[0].faults[0][1]
    assert terminal(database, "T1")[0].imei is None
    assert terminal(database, "T2")[0].imei is None


def test_a_number_that_another_terminal_has_stays_there_until_it_gives_it_up(
    database: Database, tmp_path: Path
) -> None:
    rig.bring(database, tmp_path, [rig.line(1)])
    (told,) = rig.bring(database, tmp_path, [rig.line(2, imei=rig.imei(1))])
    assert codes(told) == ["imei-taken"]
    assert terminal(database, "T1")[0].imei == rig.imei(1)
    # Both lines corrected: they change places within one file.
    told2 = rig.bring(
        database, tmp_path, [rig.line(2, imei=rig.imei(1)), rig.line(1, imei=rig.imei(7))]
    )
    assert [codes(one) for one in told2] == [[], []]
    assert terminal(database, "T2")[0].imei == rig.imei(1)
    assert terminal(database, "T1")[0].imei == rig.imei(7)


@pytest.mark.parametrize(
    ("changes", "outcome", "code"),
    [
        ({"terminal": ""}, "refused", "no-terminal"),
        ({"asset": ""}, "refused", "no-asset"),
        ({"kind": "rocket"}, "refused", "kind"),
        ({"area": "44O106"}, "refused", "area"),
        ({"area": "999999", "area name": ""}, "refused", "area"),
        ({"imei": "867223041234565"}, "added", "imei-check"),
        ({"imei": "8.67223E+14"}, "added", "imei-lost"),
        ({"imei": "8672230412345601"}, "added", "imei-shape"),
        ({"imei": rig.imei(1)[:14]}, "added", "imei-short"),
        ({"iccid": "8.986E+19"}, "added", "iccid-lost"),
        ({"iccid": "12345"}, "added", "iccid-shape"),
        ({"operator": "cucc"}, "added", "operator"),
        ({"bearer": "5.5g"}, "added", "bearer"),
        ({"power": "coal"}, "added", "power"),
        ({"bytes per day": "many"}, "added", "bytes_day"),
        ({"access": "sometimes"}, "added", "access"),
        ({"latitude": "113.33", "longitude": "23.13"}, "added", "position"),
        ({"latitude": "0", "longitude": "0"}, "added", "position"),
        ({"index": "-4"}, "added", "index"),
        ({"index": "123456.7", "digits": 8, "decimals": 3}, "added", "index"),
        ({"index": "1.2345", "digits": 8, "decimals": 3}, "added", "index"),
        ({"sim lock": "已绑定"}, "added", "sim-bound"),
    ],
)
def test_what_is_wrong_in_a_line_is_told_by_a_code_and_a_line_of_text(
    changes: dict[str, Any], outcome: str, code: str, database: Database, tmp_path: Path
) -> None:
    (told,) = rig.bring(database, tmp_path, [rig.line(1, **changes)])
    assert told.outcome == outcome
    assert codes(told) == [code]
    assert "\n" not in told.faults[0][1]


def test_conflicts_with_the_registry_are_refused(database: Database, tmp_path: Path) -> None:
    rig.bring(database, tmp_path, [rig.line(1), rig.line(2)])
    for changes, code in (
        ({"terminal": "T1", "asset": "M2"}, "elsewhere"),
        ({"terminal": "T9", "asset": "M1"}, "asset-served"),
        ({"area": "440106002", "area name": "Liede"}, "area"),
    ):
        (told,) = rig.bring(database, tmp_path, [rig.line(1, **changes)])
        assert (told.outcome, codes(told)) == ("refused", [code])
    told_two = rig.bring(database, tmp_path, [rig.line(5), rig.line(6, asset="M5")])
    assert [codes(one) for one in told_two] == [["asset-twice"], ["asset-twice"]]


def test_a_type_that_cannot_do_what_the_line_says_is_told(
    database: Database, tmp_path: Path
) -> None:
    with database.begin() as session:
        session.add(TacModel(
            tac="86722304", model="M590", bearers="2g", module="", configured_by=""
        ))  # fmt: skip
    (told,) = rig.bring(database, tmp_path, [rig.line(1, bearer="3g")])
    assert codes(told) == ["capability"]
    assert "M590" in told.faults[0][1]


def test_meters_behind_a_dtu_are_assets_of_their_own(database: Database, tmp_path: Path) -> None:
    rig.bring(database, tmp_path, [rig.line(1, kind="DTU"), rig.line(2)])
    lines = [{"DTU": "T1", "表号": f"E{n}", "类型": "电表", "表地址": f"{n:012d}"} for n in (1, 2)]
    wrong = [
        {**lines[0], "DTU": "T9"}, {**lines[0], "表号": "E9"}, {**lines[0], "表地址": ""},
        {**lines[0], "类型": "rocket"}, {**lines[0], "表号": "M2", "表地址": "77"},
    ]  # fmt: skip
    sheet = Sheet(rig.write(tmp_path / "m.csv", lines + wrong), "meters", behind.NEEDED)
    with database.begin() as session:
        told = list(behind.take(session, sheet))
        assert [one.outcome for one in told] == ["taken"] * 2 + ["refused"] * 5
        assert [one.outcome for one in behind.take(session, sheet)][:2] == ["same"] * 2
        rows = session.execute(
            select(SubDevice.number, SubDevice.address, Asset.name, Asset.kind)
            .join(Asset, Asset.id == SubDevice.asset_id)
            .order_by(SubDevice.number)
        ).all()
    assert [tuple(row) for row in rows] == [
        (1, f"{1:012d}", "E1", "electricity-meter"), (2, f"{2:012d}", "E2", "electricity-meter")
    ]  # fmt: skip


def test_chinese_headings_and_words_in_gb18030_with_semicolons(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "表.csv"
    path.write_bytes(
        "终端编号;表号;类型;区划代码;供电方式;移动性;网络制式;ＩＭＥＩ\r\n"
        f"T1;M1;燃气表;{rig.AREA};锂电池;固定;GPRS;{rig.imei(1)}\r\n".encode("gb18030")
    )
    (told,) = inventory.bring_in(database, Sheet(path, "terminals", entries.NEEDED))
    assert told.faults == ()
    found, row = terminal(database, "T1")
    assert (row.power, row.mobility, row.bearer) == ("battery", "static", "2g")
    assert found.imei == rig.imei(1)


def workbook(path: Path, rows: list[list[Any]]) -> Path:
    """The smallest XLSX file: texts inline, numbers as numbers."""
    cells = "".join(
        f'<row r="{y}">'
        + "".join(
            f'<c r="{chr(65 + x)}{y}" t="inlineStr"><is><t>{cell}</t></is></c>'
            if isinstance(cell, str)
            else f'<c r="{chr(65 + x)}{y}"><v>{cell}</v></c>'
            for x, cell in enumerate(row)
        )
        + "</row>"
        for y, row in enumerate(rows, 1)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    sheet = "worksheets/s.xml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{office}.sheet.main+xml"/>'
        f'<Override PartName="/xl/{sheet}" ContentType="{office}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>'
        '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{rel}/worksheet" Target="{sheet}"/></Relationships>',
        "xl/worksheets/s.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData>'
        "</worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return path


def test_a_workbook_keeps_15_digits_of_a_number_and_what_lost_more_is_told(
    database: Database, tmp_path: Path
) -> None:
    names = ["terminal", "asset", "kind", "area", "imei", "iccid", "index"]
    card = 89860012345678901234
    path = workbook(
        tmp_path / "t.xlsx",
        [names, [17, "M1", "gas", int(rig.AREA), int(rig.imei(1)), card, 1234.567]],
    )
    (told,) = inventory.bring_in(database, Sheet(path, "terminals", entries.NEEDED))
    assert codes(told) == ["iccid-lost"]
    found, row = terminal(database, "17")
    assert (found.imei, found.iccid, row.first_index) == (rig.imei(1), None, "1234.567")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"terminal,asset\nT1,M1\n", "no column for kind"),
        (b"terminal,device,asset,kind,area\n", "both mean terminal"),
        (b"", "no column for"),
        (b"PK\x03\x04 no workbook", "no workbook"),
        (b"\x81\xff\xfe,\x00", "neither UTF-8 nor GB 18030"),
    ],
)
def test_what_is_no_inventory_is_refused_in_one_line(raw: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "t.bin"
    path.write_bytes(raw)
    with pytest.raises(MigrationError, match=why) as refused:
        Sheet(path, "terminals", entries.NEEDED)
    assert "\n" not in str(refused.value)


def test_an_id_of_another_makers_terminal_is_never_a_node_id() -> None:
    found = legacy_ids.candidates("T1")
    assert len(set(found)) == 16
    for each in found:
        assert set(each) <= set(ALPHABET)
        assert legacy_ids.is_legacy(each)
        with pytest.raises(RegistryError):
            check_node_id(each)
    assert not legacy_ids.is_legacy("1gntj14d2p")


_text = st.text(max_size=30) | st.sampled_from(["1", "-1", "1e9", LOST + "9", "∞", "二", "9" * 40])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(columns._catalogue()["terminals"])), _text))
def test_any_line_gives_an_entry(cells: dict[str, str]) -> None:
    entry = entries.read(Line(2, cells))
    assert entry.refused is not None or entry.number
    assert not entry.imei or luhn(entry.imei)
    for code, detail in entry.faults:
        assert len(code) <= 24
        assert detail


def test_a_card_whose_digits_are_swapped_is_read_all_the_same() -> None:
    right = "89860012345678901234"
    swapped = "".join(right[at : at + 2][::-1] for at in range(0, 20, 2))
    assert numbers.iccid(swapped)[:2] == (right, "iccid-swapped")
    assert numbers.operator_of(right) == "cmcc"
