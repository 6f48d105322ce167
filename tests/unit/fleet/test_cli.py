"""What the commands print, and to whom: names as they are, whole lines, and no traceback."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import fleet_rig as rig
import pytest
from click.testing import CliRunner, Result

from fleet.cli.main import kapok
from fleet.db.base import Database
from fleet.identity.client import make_key_and_csr
from fleet.settings import load
from fleet.setup import init
from fleet.uplink.ingest import Ingest
from fleet.wire import report


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An initialised data folder with one area."""
    init(tmp_path / "data")
    assert run(tmp_path / "data", "area", "add", rig.AREA, "Tianhe").exit_code == 0
    return tmp_path / "data"


def run(data: Path, *arguments: str) -> Result:
    """`kapok` in this process; only an exit may end it."""
    result = CliRunner().invoke(kapok, ["--data", str(data), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def refused(data: Path, *arguments: str) -> str:
    """The one line of a command that must be refused."""
    result = run(data, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line


def add_arguments(data: Path, node_id: str, **changes: str) -> list[str]:
    """Arguments of `node add` with a request of that node."""
    request = data.parent / f"{node_id}.csr"
    request.write_bytes(make_key_and_csr(node_id)[1])
    options = {"role": "drainage", "area": rig.AREA, "csr": str(request), **changes}
    return ["node", "add", node_id, *(w for k, v in options.items() for w in (f"--{k}", v))]


@pytest.mark.parametrize("name", ["[/b]", "[red]x[/red]", "[link=file:///]", ":smile:"])
def test_attack_a_name_that_looks_like_markup_is_shown_as_it_is(data: Path, name: str) -> None:
    run(data, "area", "add", "44", name)
    listed = run(data, "area", "list")
    assert listed.exit_code == 0
    assert name in listed.stdout


def test_a_long_name_is_not_cut_in_a_pipe(data: Path) -> None:
    name = "长" * 100
    run(data, "area", "add", "44", name)
    assert name in run(data, "area", "list").stdout


def test_attack_an_argument_that_is_no_text(data: Path) -> None:
    """Bytes outside UTF-8 come as lone surrogates, which no database takes."""
    bad = os.fsdecode(b"\xff")
    for arguments in (
        ["area", "add", bad, "x"],
        ["area", "add", "44", bad],
        ["area", "list", "--after", bad],
        ["node", "list", "--area", bad],
        ["node", "list", "--role", bad],
        ["node", "show", bad],
        ["node", "revoke", bad],
        ["readings", "--node", bad],
        ["readings", "--quantity", bad],
        ["readings", "--after", bad],
        add_arguments(data, rig.new_node_id(), area=bad),
        add_arguments(data, rig.new_node_id(), role=bad),
        add_arguments(data, rig.new_node_id(), asset=bad),
    ):
        refused(data, *arguments)


def test_revoke_tells_the_serial_numbers_as_json(data: Path) -> None:
    node_id = rig.new_node_id()
    assert run(data, *add_arguments(data, node_id)).exit_code == 0
    shown = json.loads(run(data, "node", "show", node_id, "--json").stdout)
    revoked = json.loads(run(data, "node", "revoke", node_id, "--json").stdout)
    serials = [c["serial"] for c in shown["certificates"]]
    assert revoked == {"id": node_id, "revoked": serials, "oscore_keys": 0}
    again = json.loads(run(data, "node", "revoke", node_id, "--json").stdout)
    assert again == {"id": node_id, "revoked": [], "oscore_keys": 0}


def test_a_certificate_that_cannot_be_written_names_its_own_path(data: Path) -> None:
    node_id = rig.new_node_id()
    out = data.parent / "missing" / "node.crt"
    line = refused(data, *add_arguments(data, node_id, **{"cert-out": str(out)}))
    assert f"cannot write {out}:" in line
    assert "not registered" in refused(data, "node", "show", node_id)


def test_a_request_without_end_is_refused(data: Path) -> None:
    line = refused(data, *add_arguments(data, rig.new_node_id(), csr="/dev/zero"))
    assert "CSR" in line


def test_times_are_exact_to_the_microsecond_and_before_1970(data: Path) -> None:
    node_id = rig.new_node_id()
    run(data, *add_arguments(data, node_id))
    body = report.encode_body(0, report.GOOD, [(2, 1)])
    with closing(Database(load(data).database_url)) as database:
        Ingest(database).process([rig.message(node_id, report.encode(1, 0, [(1, body)], {}))])

    def found(*arguments: str) -> int:
        answer = json.loads(run(data, "readings", "--json", *arguments).stdout)
        return len(answer["readings"])

    assert found("--since", "1969-12-31T23:59:59.999999", "--until", "1970-01-01") == 0
    assert found("--until", "1970-01-01T00:00:00.000001Z") == 1
    assert found("--since", "1970-01-01T00:00:00.000001Z") == 0
    assert found("--since", "1970-01-01T08:00:00+08:00") == 1
    assert found("--since", "0001-01-01T00:00:00+14:00") == 1
    assert found("--until", "9999-12-31T23:59:59-14:00") == 1


def test_a_reader_that_goes_away_sees_no_traceback(data: Path) -> None:
    for i in range(100):
        run(data, "area", "add", f"44{i:04d}", "x" * 100)
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet", "--data", str(data), "area", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert b"Traceback" not in process.stderr.read()
    process.wait(30)


def test_help_imports_nothing_that_is_slow() -> None:
    """`kapok --help` answers at once: no database, no broker, no cryptography."""
    code = (
        "import sys\n"
        "from fleet.cli.main import kapok\n"
        "kapok(['--help'], standalone_mode=False)\n"
        "slow = ('sqlalchemy', 'alembic', 'fastapi', 'uvicorn', 'amqtt', 'paho', 'cryptography')\n"
        "print('SLOW', [name for name in slow if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "SLOW []"
