"""Every mistake that a user can make ends in one line, without a traceback."""

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_rig import AREA, add_node, initialised, out, out_json, refusal, run
from ingest_rig import NODE, OTHER
from sqlalchemy import text as sql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fleet.cli import main
from fleet.db.base import Database, reason_of
from fleet.identity.client import make_key_and_csr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    return folder


@pytest.fixture
def csr(tmp_path: Path) -> Path:
    path = tmp_path / "node.csr"
    path.write_bytes(make_key_and_csr(NODE)[1])
    return path


EVERY = [
    ["area", "add", AREA, "Tianhe"],
    ["area", "list"],
    ["node", "list"],
    ["node", "show", NODE],
    ["node", "revoke", NODE],
    ["node", "rotate", NODE],
    ["node", "distrust", NODE],
    ["node", "configure", NODE, "a=1"],
    ["node", "downlinks", NODE],
    ["readings"],
    ["serve"],
]


@pytest.mark.parametrize("command", EVERY)
def test_a_folder_that_is_not_initialised(tmp_path: Path, command: list[str]) -> None:
    line = refusal(tmp_path / "nowhere", *command)
    assert "kapok --data" in line
    assert "init" in line
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", [["init"], *EVERY])
def test_a_database_that_is_damaged(data: Path, command: list[str]) -> None:
    (data / "kapok.db").write_bytes(b"not a database, " * 1000)
    assert "kapok.db" in refusal(data, *command)


@pytest.mark.parametrize("command", [["init"], *EVERY])
def test_a_database_of_a_newer_version(data: Path, command: list[str]) -> None:
    with closing(sqlite3.connect(data / "kapok.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert "newer Kapok" in refusal(data, *command)


@pytest.mark.parametrize("command", EVERY)
def test_a_database_that_is_missing(data: Path, command: list[str]) -> None:
    (data / "kapok.db").unlink()
    assert "kapok init" in refusal(data, *command)


def test_init_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "not empty" in refusal(tmp_path, "init")
    assert os.listdir(tmp_path) == ["thesis.txt"]
    assert "is a file" in refusal(tmp_path / "thesis.txt", "init", code=2)
    assert "thesis.txt" in refusal(tmp_path / "thesis.txt" / "deep", "init")


def test_settings_that_do_not_parse(data: Path) -> None:
    for text in (
        "[api\n",
        "api = 3\n",
        '[api]\nport = "x"\n',
        '[broker]\naddress = "a..b:1883"\n',
        '[broker]\nhost = "no host"\n',
        "[broker]\nnames = []\n",
        "[broker]\nnames = [3]\n",
    ):
        (data / "kapok.toml").write_text(text)
        assert refusal(data, "serve")


def test_a_certificate_authority_that_is_damaged(data: Path, csr: Path) -> None:
    add = ["node", "add", NODE, "--role", "drainage", "--area", AREA, "--csr", csr]
    (data / "pki" / "issuing.key").write_text("nonsense")
    assert "issuing.key" in refusal(data, *add)
    assert "issuing.key" in refusal(data, "serve")
    assert out_json(data, "node", "list") == []  # all or nothing


@pytest.mark.parametrize(
    ("node_id", "more", "says"),
    [
        ("XYZ", {}, "node id"),
        (NODE.upper(), {}, "node id"),
        (NODE, {"--role": "toaster"}, "gas-meter"),
        (NODE, {"--area": "99"}, "kapok area add 99"),
        (OTHER, {}, f"request of {NODE}"),
        (NODE, {"--asset": "bell\a"}, "printable"),
    ],
)
def test_node_add_refuses(
    data: Path, csr: Path, node_id: str, more: dict[str, str], says: str
) -> None:
    options = {"--role": "drainage", "--area": AREA, "--csr": str(csr), **more}
    words = [word for pair in options.items() for word in pair]
    assert says in refusal(data, "node", "add", node_id, *words)
    assert out_json(data, "node", "list") == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 100, b"x" * 1_000_000])
def test_node_add_refuses_a_broken_request(data: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.csr"
    path.write_bytes(content)
    words = ["node", "add", NODE, "--role", "drainage", "--area", AREA, "--csr", path]
    assert "CSR" in refusal(data, *words)
    assert out_json(data, "node", "list") == []


def test_node_add_refuses_a_missing_request(data: Path, tmp_path: Path) -> None:
    words = ["node", "add", NODE, "--role", "drainage", "--area", AREA]
    assert "--csr" in refusal(data, *words, "--csr", tmp_path / "none", code=2)
    assert "--csr" in refusal(data, *words, code=2)


def test_node_add_twice(data: Path, csr: Path) -> None:
    add_node(data, NODE)
    words = ["node", "add", NODE, "--role", "drainage", "--area", AREA, "--csr", csr]
    assert "registered already" in refusal(data, *words)


def test_node_add_with_nowhere_to_write_registers_nothing(data: Path, csr: Path) -> None:
    words = ["node", "add", NODE, "--role", "drainage", "--area", AREA, "--csr", csr]
    assert "nowhere" in refusal(data, *words, "--cert-out", data / "nowhere" / "x.crt")
    assert out_json(data, "node", "list") == []


@pytest.mark.parametrize("command", ["show", "revoke"])
def test_a_node_that_is_unknown(data: Path, command: str) -> None:
    assert "not registered" in refusal(data, "node", command, NODE)
    assert "node id" in refusal(data, "node", command, "nonsense")


def test_revoke_for_no_such_reason(data: Path) -> None:
    add_node(data, NODE)
    assert "reason" in refusal(data, "node", "revoke", NODE, "--reason", "mood")
    assert out_json(data, "node", "show", NODE)["state"] == "active"


@pytest.mark.parametrize("code", ["", "x", "1", "1" * 13, "44 01", "٤٤"])
def test_area_codes_that_are_none(data: Path, code: str) -> None:
    assert "area code" in refusal(data, "area", "add", code, "Name")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--asset", 10**30], 1),
        (["--asset", "x"], 2),
        (["--quantity", 10**30], 1),
        (["--quantity", "mood"], 1),
        (["--node", "nonsense"], 1),
        (["--since", "yesterday"], 2),
        (["--until", "99999-01-01"], 2),
        (["--after", "1"], 1),
        (["--after", f"{10**30}-1"], 1),
        (["--limit", 0], 2),
        (["--limit", 1001], 2),
    ],
)
def test_readings_refuses(data: Path, words: list[object], code: int) -> None:
    refusal(data, "readings", *words, code=code)


@pytest.mark.parametrize(
    "words",
    [["--port", 70000], ["--port", -1], ["--broker-port", 70000], ["--broker", "x"],
     ["--broker", "x:0"], ["--broker", ":1"], ["--broker", "a..b:1"], ["--broker", "x:１"]],
)  # fmt: skip
def test_serve_refuses(data: Path, words: list[object]) -> None:
    refusal(data, "serve", *words)


def test_serve_on_a_port_in_use(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        free = ["--coap-port", 0, "--enrol-port", 0, "--updates-port", 0]
        for words in (["--port", port, "--broker-port", 0], ["--port", 0, "--broker-port", port]):
            assert f"127.0.0.1:{port}" in refusal(data, "serve", *words, *free)
    assert not (data / "run.json").exists()


def test_wrong_usage_is_code_2_and_names_the_help(data: Path) -> None:
    assert "kapok --help" in refusal(data, "nonsense", code=2)
    assert "kapok node show --help" in refusal(data, "node", "show", code=2)
    assert run(data).exit_code == 2
    assert run(data, "node").exit_code == 2


def test_a_disk_that_is_full(data: Path, csr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says when a file cannot grow."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    words = ["node", "add", NODE, "--role", "drainage", "--area", AREA, "--csr", csr]
    line = refusal(data, *words, "--cert-out", data.parent / "node.crt")
    assert "No space left" in line
    line = refusal(data.parent / "new", "init")
    assert "No space left" in line
    assert str(data.parent / "new") in line
    monkeypatch.undo()
    assert out_json(data, "node", "list") == []
    assert out(data.parent / "new", "init")  # what was begun does not stand in the way


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied" in refusal(tmp_path / "data", "init")


def test_an_error_stays_one_line_whatever_its_text(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleet.registry import operations

    def fails(*_: object) -> None:
        raise operations.RegistryError("two\nlines " + "long " * 60)

    monkeypatch.setattr(operations, "list_areas", fails)
    assert "two lines" in refusal(data, "area", "list")


def test_the_table_of_commands_is_true() -> None:
    import importlib

    for name, (module, attribute, _help) in main.COMMANDS.items():
        assert getattr(importlib.import_module(module), attribute).name == name


def test_every_refusal_that_a_person_may_meet_has_the_one_base() -> None:
    """A class of its own beside it would end as a traceback; data errors are caught by name."""
    import importlib
    import pkgutil

    import fleet
    from fleet.errors import Refusal

    inner = ("fleet.coap", "fleet.broker", "fleet.identity.claims", "fleet.schema", "fleet.wire")
    for module in pkgutil.walk_packages(fleet.__path__, "fleet."):
        if module.name.startswith((*inner, "fleet.db.migrations", "fleet.__main__")):
            continue
        for name, found in vars(importlib.import_module(module.name)).items():
            own = isinstance(found, type) and found.__module__ == module.name
            if own and issubclass(found, Exception) and not name.startswith("_"):
                assert issubclass(found, Refusal) or name == "DatabaseGone", (module.name, name)


def test_a_full_disk_is_named_though_the_savepoint_went_with_it(tmp_path: Path) -> None:
    def fill(session: Session) -> None:
        session.execute(sql("PRAGMA max_page_count=50"))
        with session.begin_nested():
            for _ in range(100):
                session.execute(sql("INSERT INTO t VALUES (zeroblob(4000))"))

    with closing(Database(f"sqlite:///{tmp_path}/a.db")) as database:
        with database.begin() as session:
            session.execute(sql("CREATE TABLE t (a BLOB)"))
        with database.begin() as session:
            with pytest.raises(SQLAlchemyError, match="no such savepoint") as told:
                fill(session)
            session.rollback()
    assert reason_of(told.value) == "database or disk is full"
