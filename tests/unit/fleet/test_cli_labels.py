"""`kapok label`, `install`, `swap` and `node sim` on a data folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from cli_rig import AREA, initialised, out, out_json, refusal, run
from PIL import Image

from fleet.identity.client import make_key_and_csr
from fleet.registry.labels import LabelText

ONE, TWO, THREE = "1gntj14d2p", "1gntj14d2q", "1gntj14d2r"
IMEI, ICCID = "867997041234567", "89860412345678901234"


def text(node_id: str) -> str:
    return LabelText(node_id).encode()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAPOK_PERSON", "Chen")
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    for node_id in (ONE, TWO):
        add(folder, node_id)
    return folder


def add(folder: Path, node_id: str) -> None:
    request = folder.parent / f"{node_id}.csr"
    request.write_bytes(make_key_and_csr(node_id)[1])
    out(folder, "node", "add", node_id, "--role", "gas-meter", "--area", AREA, "--csr", request)


def scanned(path: Path) -> str:
    with Image.open(path) as image:
        (found,) = zxingcpp.read_barcodes(image.convert("L"))
    return found.text


def test_from_sim_to_scan_to_place(data: Path, tmp_path: Path) -> None:
    """The label that one command prints, read by a QR reader, is what another takes."""
    out(data, "node", "sim", ONE, "--imei", IMEI, "--iccid", ICCID)
    printed = out_json(data, "label", ONE, "--out", tmp_path / "one.png")
    assert printed["labels"][0]["imei"] == IMEI
    read = scanned(tmp_path / "one.png")
    assert read == LabelText(ONE, IMEI, ICCID).encode()
    (tmp_path / "a.jpg").write_bytes(b"photo")
    taken = out_json(
        data, "install", "--scan", read, "--asset", "Meter 4711", "--lat", "23.1291",
        "--lon", "113.2644", "--photo", "a.jpg",
    )  # fmt: skip
    assert taken["node_id"] == ONE
    assert taken["hints"] == []
    said = out(data, "swap", "--old", read, "--new", text(TWO), "--register-old", "12.5",
               "--register-new", "0")  # fmt: skip
    assert said == (
        f"node {TWO} took the place of {ONE} at Meter 4711 (id:{taken['asset_id']}); "
        "register offset 12500\n"
    )


def test_new_labels_are_printed_once(data: Path, tmp_path: Path) -> None:
    said = out(data, "label", "--all-new", "--sheet", "a4-3x8")
    assert said == "2 label(s): labels.pdf\n"
    first = (tmp_path / "labels.pdf").read_bytes()
    assert out(data, "label", "--all-new") == "no node needs a label\n"
    assert (tmp_path / "labels.pdf").read_bytes() == first
    add(data, THREE)
    assert [n["node_id"] for n in out_json(data, "label", "--all-new")["labels"]] == [THREE]
    assert len(out_json(data, "label", "--area", "4401", "--format", "svg")["files"]) == 3
    assert {p.name for p in (tmp_path / "labels").iterdir()} == {
        f"{n}.svg" for n in (ONE, TWO, THREE)
    }


def test_labels_without_the_fleet(tmp_path: Path) -> None:
    """From what a laptop wrote down in the basement; a board that failed gets none."""
    results = tmp_path / "results.json"
    found: list[dict[str, Any]] = [
        {"port": "1", "node_id": ONE, "result": "done", "node_type": "gas-meter", "imei": IMEI},
        {"port": "2", "node_id": "", "result": "failed"},
    ]
    for shape in (json.dumps(found), json.dumps({"nodes": found}),
                  "\n".join(json.dumps(one) for one in found)):  # fmt: skip
        results.write_text(shape)
        out(tmp_path / "none", "label", "--from", results, "--out", tmp_path / "l.png")
        assert scanned(tmp_path / "l.png") == LabelText(ONE, IMEI).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "names no nodes"),
        ("{", "no JSON"),
        ("[1]", "no object"),
        ("[" * 100_000, "no JSON"),
        ('[{"node_id": "iiiiiiiiii"}]', "no node id"),
        ('[{"node_id": "1gntj14d2p", "imei": "12"}]', "no label"),
        ('[{"node_id": "1gntj14d2p", "role": "a\\u0000"}]', "do not print"),
        ('[{"node_id": "1gntj14d2p", "area": 440106}]', "a text"),
    ],
)
def test_attack_a_file_that_no_bench_wrote(tmp_path: Path, content: str, says: str) -> None:
    results = tmp_path / "r.json"
    results.write_text(content)
    assert says in refusal(tmp_path, "label", "--from", results, "--out", tmp_path / "l.pdf")
    assert not (tmp_path / "l.pdf").exists()


def test_wrong_usage_of_label(data: Path, tmp_path: Path) -> None:
    for words in (
        ["label"], ["label", ONE, "--all-new"], ["label", ONE, "--format", "svg", "--sheet", "x"],
        ["label", ONE, "--sheet", "x"], ["label", ONE, TWO, "--out", "one.png"],
        ["label", ONE, "--skip", "1"],
    ):  # fmt: skip
        refusal(data, *words, code=2)
    assert "not registered" in refusal(data, "label", THREE)
    assert list(tmp_path.glob("*.p*")) == []


def test_numbers_of_a_sim(data: Path) -> None:
    assert "digit is wrong" in refusal(data, "node", "sim", ONE, "--imei", IMEI[:-1] + "8")
    odd = "89860446091891372008"  # as a modem said it, though its check digit does not fit
    assert "digit is wrong" in refusal(data, "node", "sim", ONE, "--iccid", odd)
    out(data, "node", "sim", ONE, "--iccid", odd, "--as-read")
    assert f"in node {ONE}" in refusal(data, "node", "sim", TWO, "--iccid", odd, "--as-read")
    assert out(data, "node", "sim", ONE) == f"node {ONE} IMEI unknown ICCID {odd}\n"
    out(data, "node", "sim", ONE, "--forget")
    out(data, "node", "sim", TWO, "--iccid", odd, "--as-read")


def report(folder: Path, node: object, **identity: object) -> Path:
    path = folder / f"diag-{node}-{len(list(folder.iterdir()))}.json"
    told = {"when": 1, "node": node, "facts": {}, "radio": {"modem": "ok", "identity": identity}}
    path.write_text(json.dumps(told))
    return path


def test_labels_tell_what_the_modems_said_in_reports_of_diag(data: Path, tmp_path: Path) -> None:
    odd = "89860446091891372008"
    took = out_json(
        data, "node", "sim", "--report", report(tmp_path, ONE, imei=IMEI, iccid=odd),
        report(tmp_path, TWO, imei=None, iccid="8986044609189137201"),
    )  # fmt: skip
    assert took[0] == {"id": ONE, "imei": IMEI, "iccid": odd}
    assert took[1] == {"id": TWO, "imei": "", "iccid": "8986044609189137201"}
    out(data, "label", ONE, "--format", "svg", "--out", tmp_path / "one.svg")
    assert odd in (tmp_path / "one.svg").read_text()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no report"),
        (b"[" * 100_000, "no report"),
        (b"[1]", "no report"),
        (b'{"node": 3}', "are texts"),
        (b'{"node": "x", "radio": {"identity": {"imei": "1"}}}', "no node id"),
        (b'{"node": "1gntj14d2p", "radio": 7}', "no report"),
        (b'{"node": "1gntj14d2p"}', "neither IMEI nor ICCID"),
        (b'{"node": "1gntj14d2p", "radio": {"identity": {"imei": "12"}}}', "15 digits"),
        (b" " * 1_000_001, "no report"),
    ],
)
def test_attack_a_report_that_diag_did_not_write(
    data: Path, tmp_path: Path, content: bytes, says: str
) -> None:
    good = report(tmp_path, ONE, imei=IMEI)
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    assert says in refusal(data, "node", "sim", "--report", good, bad)
    assert "IMEI unknown" in out(data, "node", "sim", ONE)  # all or none
    assert "No such file" in refusal(data, "node", "sim", "--report", tmp_path / "none")
    refusal(data, "node", "sim", "--report", good, "--imei", IMEI, code=2)
    refusal(data, "node", "sim", ONE, TWO, code=2)


def test_acts_wait_in_a_file_and_are_taken_in_once(data: Path, tmp_path: Path) -> None:
    queue = tmp_path / "acts.jsonl"
    nowhere = tmp_path / "no-fleet"
    install = ("install", "--scan", text(ONE), "--asset", "Meter 1", "--queue", queue)
    assert "queued" in out(nowhere, *install)
    swap = ("swap", "--old", text(ONE), "--new", text(TWO), "--register-old", "7",
            "--register-new", "0", "--queue", queue)  # fmt: skip
    out(nowhere, *swap)
    with queue.open("ab") as file:
        file.write(b'{"kind": "inst')  # the laptop's battery died
    out(nowhere, "install", "--scan", text(THREE), "--asset", "Meter 3", "--queue", queue)
    assert len(queue.read_bytes().splitlines()) == 3
    result = run(data, "install", "--replay", queue)
    assert result.exit_code == 1
    assert "acts.jsonl:3: refused: node 1gntj14d2r is not registered yet" in result.stdout
    assert result.stderr.startswith("kapok: 1 of 3 acts refused")
    add(data, THREE)
    again = out_json(data, "install", "--replay", queue)
    assert [one["repeated"] for one in again] == [True, True, False]
    assert out(data, "install", "--replay", queue).count("done before") == 3
    nodes = {n["id"]: n["asset_id"] for n in out_json(data, "node", "list")}
    assert nodes[ONE] is None
    assert nodes[TWO] == again[0]["asset_id"]


def test_install_says_what_is_wrong(data: Path, tmp_path: Path) -> None:
    base = ("install", "--scan", text(ONE), "--asset", "Meter 1")
    refusal(data, "install", "--asset", "x", code=2)
    refusal(data, *base, "--lat", "1", code=2)
    refusal(data, *base, "--replay", __file__, code=2)
    assert "swapped?" in refusal(data, *base, "--lat", "113.2644", "--lon", "23.1291")
    wrong = text(ONE)[:-1] + ("0" if text(ONE)[-1] != "0" else "1")
    assert "wrong character" in refusal(data, "install", "--scan", wrong, "--asset", "x")
    result = run(data, *base, "--lat", "80.1", "--lon", "45.2")
    assert result.exit_code == 0
    assert "hint: 80.1000000, 45.2000000 lies outside China" in result.stderr
