"""Each command of `kapok` at its work."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_rig import AREA, add_node, initialised, out, out_json, run
from cryptography import x509
from ingest_rig import NODE, NOW, OTHER, message, report_of

from fleet.cli.main import COMMANDS
from fleet.db import revision
from fleet.db.base import Database
from fleet.settings import load
from fleet.uplink.ingest import Ingest
from fleet.wire import report


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with an area."""
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    return folder


def ingest(data: Path, *payloads: bytes, node_id: str = NODE) -> None:
    with closing(Database(load(data).database_url)) as database:
        outcomes = Ingest(database).process([message(p, node_id) for p in payloads])
    assert {outcome.kind for outcome in outcomes} == {"stored"}


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_has_an_example(tmp_path: Path, command: list[str]) -> None:
    text = out(tmp_path, *command, "--help")
    assert "Example: kapok" in text


def test_init_says_what_it_made_and_what_it_found(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    first = out(folder, "init").splitlines()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    second = out(folder, "init").splitlines()
    assert len(first) == 4
    assert second == [line + " (found)" for line in first]
    unchanged = {path: path.read_bytes() for path in before}
    assert {p for p in before if before[p] != unchanged[p]} <= {folder / "kapok.db-shm"}
    assert out_json(folder, "init")["data"] == str(folder)
    assert folder.stat().st_mode & 0o077 == 0  # it holds the keys of the authority


def test_init_mends_what_is_missing(data: Path) -> None:
    (data / "kapok.db").unlink()
    (data / "pki" / "fleet.crt").unlink()
    assert f"database: revision {revision.newest()}\n" in out(data, "init")
    assert (data / "pki" / "fleet.crt").exists()


def test_area_add_renames_and_list_pages(data: Path) -> None:
    assert out(data, "area", "add", "4401", "Guangzhou") == "area 4401 Guangzhou\n"
    assert out_json(data, "area", "add", AREA, "天河") == {"code": AREA, "name": "天河"}
    listed = out_json(data, "area", "list")
    assert listed == [{"code": "4401", "name": "Guangzhou"}, {"code": AREA, "name": "天河"}]
    assert out_json(data, "area", "list", "--limit", 1, "--after", "4401") == listed[1:]
    assert "天河" in out(data, "area", "list")


def test_node_add_registers_and_gives_a_certificate(data: Path, tmp_path: Path) -> None:
    pem = add_node(data, NODE, "--asset", "Well 7")
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert certificate.subject.rfc4514_string() == f"CN={NODE}"
    shown = out_json(data, "node", "show", NODE)
    assert shown["role"] == "drainage"
    assert shown["state"] == "active"
    assert [int(c["serial"], 16) for c in shown["certificates"]] == [certificate.serial_number]

    to = tmp_path / "other.crt"
    assert str(to) in add_node(data, OTHER, "--cert-out", to)
    assert to.read_bytes().startswith(b"-----BEGIN CERTIFICATE")


def test_node_add_as_json_carries_the_certificate(data: Path) -> None:
    answer = json.loads(add_node(data, NODE, "--json"))
    assert answer["id"] == NODE
    assert answer["certificate"].startswith("-----BEGIN CERTIFICATE")


def test_node_list_selects_and_pages(data: Path) -> None:
    out(data, "area", "add", "3301", "Hangzhou")
    for node_id in (NODE, OTHER):
        add_node(data, node_id)
    ids = [one["id"] for one in out_json(data, "node", "list")]
    assert ids == [NODE, OTHER]
    assert [n["id"] for n in out_json(data, "node", "list", "--after", NODE)] == [OTHER]
    assert out_json(data, "node", "list", "--area", "3301") == []
    assert out_json(data, "node", "list", "--area", "4401", "--limit", 1)[0]["id"] == NODE
    assert out_json(data, "node", "list", "--role", "lamppost") == []
    assert NODE in out(data, "node", "list")


def test_node_show_tells_status_and_last_report(data: Path) -> None:
    add_node(data, NODE)
    ingest(data, report_of([1], status={report.DEPTH: 4}))
    shown = out_json(data, "node", "show", NODE)
    assert shown["status"] == {"0": 4}
    assert shown["last_report"] == "2026-11-23T05:30:56Z"
    assert shown["last_report_us"] == NOW * 1_000_000
    assert "2026-11-23T05:30:56Z" in out(data, "node", "show", NODE)


def test_node_revoke_ends_certificate_and_state(data: Path) -> None:
    add_node(data, NODE)
    assert "revoked" in out(data, "node", "revoke", NODE, "--reason", "key-compromise")
    shown = out_json(data, "node", "show", NODE)
    assert shown["state"] == "revoked"
    assert [c["live"] for c in shown["certificates"]] == [False]
    crl = x509.load_pem_x509_crl((data / "pki" / "crl.pem").read_bytes())
    assert [entry.serial_number for entry in crl] == [
        int(c["serial"], 16) for c in shown["certificates"]
    ]


def test_readings_filters(data: Path) -> None:
    for node_id in (NODE, OTHER):
        add_node(data, node_id)
    ingest(data, report_of([1], time=NOW - 7200), report_of([2]))
    ingest(data, report_of([3]), node_id=OTHER)

    def values(*arguments: object) -> list[int]:
        return [r["value"] - 100_000 for r in out_json(data, "readings", *arguments)["readings"]]

    asset = out_json(data, "node", "show", OTHER)["asset_id"]
    assert values() == [1, 2, 3]
    assert values("--node", NODE) == [1, 2]
    assert values("--asset", asset) == [3]
    assert values("--quantity", "level") == values("--quantity", 2) == [1, 2, 3]
    assert values("--quantity", "gas_volume") == []
    assert values("--since", "2026-11-23T05:30:56") == [2, 3]
    assert values("--since", "2026-11-23T13:30:56+08:00") == [2, 3]
    assert values("--until", "2026-11-23T05:30:56Z") == [1]
    assert values("--node", NODE, "--since", "2026-11-23T05:00") == [2]


def test_readings_in_exact_integers_and_in_units(data: Path) -> None:
    add_node(data, NODE)
    body = report.encode_body(NOW, report.SUSPECT, [(2, -5), (1, 2**63 - 1), (800, 7)])
    ingest(data, report.encode(7, NOW, [(1, body)], {}))
    page: dict[str, Any] = out_json(data, "readings")
    assert [r["value"] for r in page["readings"]] == [-5, 2**63 - 1, 7]
    assert [r["text"] for r in page["readings"]] == ["-0.005 m", "9223372036854775.807 m3", "7"]
    assert {r["time"] for r in page["readings"]} == {"2026-11-23T05:30:56Z"}
    assert {r["quality"] for r in page["readings"]} == {"suspect"}
    assert page["after"] is None
    text = out(data, "readings")
    assert "-0.005 m" in text
    assert "9223372036854775.807 m3" in text


def test_readings_pages_by_key_show_each_once(data: Path) -> None:
    add_node(data, NODE)
    ingest(data, report_of(range(1, 26)))
    seen: list[int] = []
    after: list[object] = []
    while True:
        page = out_json(data, "readings", "--limit", 7, *after)
        seen += [r["value"] - 100_000 for r in page["readings"]]
        if page["after"] is None:
            break
        after = ["--after", page["after"]]
    assert seen == list(range(1, 26))
    result = run(data, "readings", "--limit", 7)
    assert "more: --after" in result.stderr
    assert "more" not in result.stdout
