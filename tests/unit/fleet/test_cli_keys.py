"""The commands that hand out keys and configuration, at their work."""

import json
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_rig import AREA, add_node, initialised, out, out_json, refusal, run
from ingest_rig import NODE, OTHER

from fleet.control import operations as control
from fleet.db.base import Database
from fleet.identity import oscore
from fleet.identity.client import make_key_and_csr
from fleet.identity.wrapping import open_wrapper
from fleet.registry.operations import now_us
from fleet.settings import load
from fleet.wire import cbor

COMMANDS = ["add", "list", "show", "revoke", "rotate", "distrust", "configure", "downlinks"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with an area."""
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    return folder


@pytest.fixture
def blob(data: Path, tmp_path: Path) -> Path:
    """NODE is registered; this is what its NVS gets."""
    path = tmp_path / "node.oscore"
    add_node(data, NODE, "--oscore-out", path)
    return path


def found(data: Path, kid: bytes) -> oscore.Context | None:
    """A context as a server finds it."""
    settings = load(data)
    with closing(Database(settings.database_url)) as database, database.read() as session:
        return oscore.find(session, open_wrapper(settings), [kid]).get(kid)


def node_tells(data: Path, handled: int, applied: int = 0, refused: int = 0) -> list[int]:
    """A report with this status; the numbers of what its answer carries."""
    settings = load(data)
    with closing(Database(settings.database_url)) as database, database.begin() as session:
        control.settle(session, {NODE: (handled, applied, refused)})
        items = control.pending(session, open_wrapper(settings), [NODE], now_us())
        numbers = [item.number for item in items[NODE].items] if NODE in items else []
        control.handed(session, {NODE: numbers}, now_us())
    return numbers


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(tmp_path: Path, command: str) -> None:
    assert f"Example: kapok node {command}" in out(tmp_path, "node", command, "--help")


def test_node_add_writes_the_blob_that_a_node_needs(data: Path, blob: Path) -> None:
    assert stat.S_IMODE(blob.stat().st_mode) == 0o600
    value: Any = cbor.decode(blob.read_bytes())
    kid, secret = value
    context = found(data, kid)
    assert context is not None
    assert (context.node_id, bytes(context.secret), context.trusted) == (NODE, secret, True)
    shown = out_json(data, "node", "show", NODE)
    assert [(key["kid"], key["state"], key["trusted"]) for key in shown["oscore"]] == [
        (kid.hex(), "current", True)
    ]
    assert secret.hex() not in json.dumps(shown)
    assert f"{kid.hex()} current" in out(data, "node", "show", NODE)


def test_node_add_without_the_option_makes_no_key(data: Path) -> None:
    add_node(data, NODE)
    assert out_json(data, "node", "show", NODE)["oscore"] == []


@pytest.mark.parametrize("fails", ["certificate", "key", "both", "subject", "wrapping"])
def test_node_add_is_all_or_nothing(data: Path, tmp_path: Path, fails: str) -> None:
    request = tmp_path / "node.csr"
    request.write_bytes(make_key_and_csr(OTHER if fails == "subject" else NODE)[1])
    nowhere = tmp_path / "nowhere" / "x"
    certificate = nowhere if fails == "certificate" else tmp_path / "node.crt"
    key = nowhere if fails == "key" else tmp_path / "node.oscore"
    if fails == "wrapping":
        (data / "pki" / "wrapping.key").unlink()
    before = sorted(tmp_path.iterdir())
    line = refusal(
        data, "node", "add", NODE, "--role", "drainage", "--area", AREA, "--csr", request,
        "--cert-out", certificate, "--oscore-out", certificate if fails == "both" else key,
    )  # fmt: skip
    says = {"certificate": "nowhere", "key": "nowhere", "both": "both", "subject": "request of",
            "wrapping": "wrapping.key is missing"}  # fmt: skip
    assert says[fails] in line
    assert sorted(tmp_path.iterdir()) == before
    assert out_json(data, "node", "list") == []


def test_rotate_shows_both_keys_until_the_new_one_is_used(data: Path, blob: Path) -> None:
    kid = bytes.fromhex(out_json(data, "node", "rotate", NODE)["kid"])
    assert kid.hex() in out(data, "node", "rotate", NODE)  # again: the same
    shown = out_json(data, "node", "show", NODE)["oscore"]
    assert [key["state"] for key in shown] == ["current", "next"]
    assert [one["kind"] for one in out_json(data, "node", "downlinks", NODE)] == ["key"]
    context = found(data, kid)
    assert context is not None
    with closing(Database(load(data).database_url)) as database, database.begin() as session:
        assert oscore.strike(session, [(context.id, 0, False)]) == [True]
    shown = out_json(data, "node", "show", NODE)["oscore"]
    assert [(key["kid"], key["state"]) for key in shown] == [(kid.hex(), "current")]


def test_revoke_ends_the_keys_in_the_same_step(data: Path, blob: Path) -> None:
    kid = bytes.fromhex(out_json(data, "node", "show", NODE)["oscore"][0]["kid"])
    out(data, "node", "rotate", NODE)
    assert out_json(data, "node", "revoke", NODE)["oscore_keys"] == 2
    assert found(data, kid) is None
    assert out_json(data, "node", "show", NODE)["oscore"] == []
    assert "revoked" in refusal(data, "node", "rotate", NODE)
    assert "revoked" in refusal(data, "node", "configure", NODE, "a=1")


def test_distrust_one_or_all(data: Path, blob: Path, tmp_path: Path) -> None:
    add_node(data, OTHER, "--oscore-out", tmp_path / "other.oscore")
    assert out_json(data, "node", "distrust", NODE) == {"id": NODE, "distrusted": 1}
    assert "to be challenged" in out(data, "node", "show", NODE)
    assert "challenged" not in out(data, "node", "show", OTHER)
    assert out(data, "node", "distrust", "--all") == "2 OSCORE key(s) distrusted\n"
    assert "to be challenged" in out(data, "node", "show", OTHER)


def test_a_patch_from_queue_to_force(data: Path, blob: Path) -> None:
    answer = out_json(
        data, "node", "configure", NODE, "report_s=3600", "apn=cm nbiot", 'host="7"', "old=",
        "bearers=[1, true]", "x=a=b",
    )  # fmt: skip
    assert answer == {"id": NODE, "number": 1}
    assert "downlink 2 waits" in out(data, "node", "configure", NODE, "report_s=60")

    def listed() -> list[str]:
        return [one["state"] for one in out_json(data, "node", "downlinks", NODE)]

    assert listed() == ["queued", "queued"]
    assert node_tells(data, 0) == [1, 2]
    assert listed() == ["handed", "handed"]
    assert node_tells(data, 2, 1, 2) == []
    assert listed() == ["settled", "refused"]
    assert out_json(data, "node", "show", NODE)["configuration"] == {
        "applied": 1,
        "handled": 2,
        "refused": 2,
        "values": {
            "report_s": 3600, "apn": "cm nbiot", "host": "7", "bearers": [1, True], "x": "a=b",
        },
    }  # fmt: skip
    assert "'report_s': 3600" in out(data, "node", "show", NODE)
    one = out_json(data, "node", "downlinks", NODE, "--limit", 1)
    assert [line["number"] for line in one] == [2]
    assert set(one[0]) == {
        "number", "kind", "state", "bytes", "created", "expires", "handed", "settled",
        "said",
    }  # fmt: skip
    text = out(data, "node", "downlinks", NODE)
    assert "refused" in text
    assert "config" in text


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["rotate", "nonsense"], 1, "node id"),
        (["rotate", OTHER], 1, "not registered"),
        (["distrust", OTHER], 1, "not registered"),
        (["distrust"], 2, "--all"),
        (["distrust", NODE, "--all"], 2, "--all"),
        (["configure", OTHER, "a=1"], 1, "not registered"),
        (["configure", NODE], 2, "KEY=VALUE"),
        (["configure", NODE, "a"], 2, "'a' is not KEY=VALUE"),
        (["configure", NODE, "=1"], 2, "KEY=VALUE"),
        (["configure", NODE, "a=1", "a=2"], 2, "twice"),
        (["configure", NODE, "a=1.5"], 1, "cannot be sent"),
        (["configure", NODE, "a=NaN"], 1, "cannot be sent"),
        (["configure", NODE, f"a={2**64}"], 1, "cannot be sent"),
        (["configure", NODE, "a=" + "x" * 600], 1, "512 at most"),
        (["configure", NODE, "a=" + "[" * 5000], 1, "512 at most"),
        (["configure", NODE, "ä=1"], 1, "ASCII"),
        (["downlinks", OTHER], 1, "not registered"),
        (["downlinks", NODE, "--limit", 0], 2, "limit"),
    ],
)
def test_mistakes_give_one_line(
    data: Path, blob: Path, words: list[object], code: int, says: str
) -> None:
    assert says in refusal(data, "node", *words, code=code)
    assert out_json(data, "node", "downlinks", NODE) == []


def test_a_wrapping_key_that_was_lost(data: Path, blob: Path) -> None:
    """A new one would not open what the old one wrapped, and nobody would know until then."""
    path = data / "pki" / "wrapping.key"
    key = path.read_bytes()
    path.unlink()
    assert "restore it" in refusal(data, "init")
    assert "wrapping.key is missing" in refusal(data, "node", "rotate", NODE)
    assert not path.exists()
    path.write_bytes(key)
    assert f"wrapping key: {path} (found)" in out(data, "init")


def test_a_data_folder_of_the_first_revision_gets_its_key(data: Path) -> None:
    from alembic import command

    from fleet.db import migrate
    from fleet.db.revision import newest

    (data / "pki" / "wrapping.key").unlink()
    command.downgrade(migrate.config(load(data).database_url), "0001")
    assert "kapok init" in refusal(data, "node", "rotate", NODE)
    assert out(data, "init").splitlines()[2:] == [
        f"database: revision {newest()}", f"wrapping key: {data / 'pki' / 'wrapping.key'}"
    ]  # fmt: skip
    add_node(data, NODE)
    assert run(data, "node", "rotate", NODE).exit_code == 0
