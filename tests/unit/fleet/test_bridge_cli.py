"""`kapok bridge`: look, read, mend, tell, by commands alone; and killed for real."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import bridge_rig as rig
import migration_rig
import pytest
from cli_rig import out, out_json, refusal, run
from hook_server import hook_server
from sqlalchemy import func, select

from fleet.bridge import runner
from fleet.bridge.north import targets
from fleet.db.base import Database
from fleet.settings import database_path
from fleet.telemetry.tables import Reading


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made")
    out(made / "data", "init")
    lines = migration_rig.write(made / "t.csv", [migration_rig.line(n) for n in range(1, 6)])
    out(made / "data", "migrate", "import", lines)
    return made / "data"


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def station(tmp_path: Path) -> Iterator[rig.Station]:
    with closing(rig.Station(tmp_path)) as opened:
        yield opened


def count(data: Path) -> int:
    with closing(Database(f"sqlite:///{database_path(data)}")) as db, db.read() as session:
        return session.scalar(select(func.count()).select_from(Reading)) or 0


def test_from_a_first_look_to_the_last_dead_letter(
    data: Path, station: rig.Station, tmp_path: Path
) -> None:
    station.add((1, "T1", 1, "1.5"), (2, "T9", 2, "2"), (3, "T2", 3, "3"))
    rig.write(tmp_path, rig.table(station))
    path = tmp_path / "scada.toml"
    seen = out_json(data, "bridge", "preview", path)
    assert [one["outcome"] for one in seen["rows"]] == ["new", "dead", "new"]
    assert seen["rows"][0]["asset"] == "M1"
    assert seen["rows"][0]["values"] == ["gas_volume 1.500 m3"]
    assert seen["rows"][0]["time"] == "2025-11-30T10:54:20Z"
    assert "number T9: no such terminal" in seen["rows"][1]["why"]
    assert seen["unread"] == ["id", "flag"]
    assert "1 of them dead letters; nothing was kept" in out(data, "bridge", "preview", path)
    assert count(data) == 0
    assert out_json(data, "bridge", "list") == {"sources": [], "targets": []}

    told = out_json(data, "bridge", "run", path, "--once")
    assert told == [
        {"name": "scada", "rows": 3, "stored": 2, "again": 0, "conflicts": 0, "dead": 1}
    ]
    (listed,) = out_json(data, "bridge", "list")["sources"]
    assert (listed["rows"], listed["dead"], listed["cursor"]) == (3, 1, '[["int", "3"]]')
    shown = out_json(data, "bridge", "dead", "scada")
    assert (shown["count"], shown["letters"][0]["place"]) == (1, "reads 2")
    assert "1 are still refused" in run(data, "bridge", "retry", path).stderr
    lines = migration_rig.write(tmp_path / "t.csv", [migration_rig.line(9)])
    out(data, "migrate", "import", lines)
    assert "1 tried: 1 stored" in out(data, "bridge", "retry", path)
    assert out_json(data, "bridge", "dead", "scada")["count"] == 0
    out(data, "bridge", "rewind", "scada")
    told = out_json(data, "bridge", "run", path, "--once")
    assert (told[0]["stored"], told[0]["again"]) == (0, 3)
    assert count(data) == 3


def test_a_source_that_cannot_be_read_is_one_line_and_listed(
    data: Path, station: rig.Station, tmp_path: Path
) -> None:
    rig.write(tmp_path, rig.table(station).replace('"reads"', '"rads"'))
    line = run(data, "bridge", "run", tmp_path / "scada.toml", "--once").stderr
    assert "scada: there is no table or view 'rads' there" in line
    (listed,) = out_json(data, "bridge", "list")["sources"]
    assert "rads" in listed["error"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("rewind", "nobody"), "there is no bridge 'nobody'"),
        (("requeue", "nobody"), "there is no target 'nobody'"),
        (("dead", "nobody"), "there is no bridge 'nobody'"),
        (("dead", "../../kapok/x"), "kapok bridge list"),
    ],
)
def test_a_name_that_is_none(data: Path, arguments: tuple[str, ...], line: str) -> None:
    before = sorted(data.parent.rglob("*"))
    assert line in refusal(data, "bridge", *arguments)
    new = {path.name for path in set(data.parent.rglob("*")) - set(before)}
    assert not {name for name in new if not name.startswith("kapok.")}  # none but the database's


def test_a_folder_that_is_rewound_reads_what_is_moved_back(data: Path, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text(f"meter,at,volume\nT1,{rig.at(1)},1.5\n")
    rig.write(tmp_path, f'kind = "folder"\npath = "{drop}"\nquiet_s = 0\n')
    path = tmp_path / "scada.toml"
    assert out_json(data, "bridge", "run", path, "--once")[0]["stored"] == 1
    assert "move back from its folder's done/" in out(data, "bridge", "rewind", "scada")
    (drop / "done" / "a.csv").rename(drop / "a.csv")
    (told,) = out_json(data, "bridge", "run", path, "--once")
    assert (told["rows"], told["again"]) == (1, 1)


def test_one_bridge_is_at_work_once(data: Path, station: rig.Station, tmp_path: Path) -> None:
    mapped = rig.write(tmp_path, rig.table(station))
    db = Database(f"sqlite:///{database_path(data)}")
    with closing(db), closing(runner.Reading(data, db, mapped)):
        line = refusal(data, "bridge", "run", tmp_path / "scada.toml", "--once")
        assert "bridge scada is at work in another process" in line


def test_a_bridge_goes_on_whatever_befalls_one_round(
    data: Path, station: rig.Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = rig.write(tmp_path, rig.table(station) + "every_s = 1")
    station.add((1, "T1", 1, "1.5"))
    stopping = threading.Event()
    monkeypatch.setattr(runner, "pause_us", lambda _failures: 1000)
    with closing(Database(f"sqlite:///{database_path(data)}")) as db:
        job = runner.Reading(data, db, mapped)
        once = job.once
        calls = []

        def fails_first(stop: object) -> object:
            calls.append(stop)
            if len(calls) == 1:
                raise ZeroDivisionError
            told = once(lambda: False)
            stopping.set()
            return told

        monkeypatch.setattr(job, "once", fails_first)
        runner.serve([job], stopping)
        job.close()
    assert count(data) == 1


def test_readings_go_on_to_a_webhook(data: Path, station: rig.Station, tmp_path: Path) -> None:
    station.add((1, "T1", 1, "1.5"))
    rig.write(tmp_path, rig.table(station))
    out(data, "bridge", "run", tmp_path / "scada.toml", "--once")
    path = tmp_path / "city.toml"
    with hook_server() as server:
        path.write_text(
            f'name = "city"\nkind = "webhook"\nbegin = "beginning"\n[platform]\n'
            f'url = "{server.url}"\nsecret_file = "secret"\n'
        )
        assert "platform.secret_file" in refusal(data, "bridge", "forward", path, "--once")
        (tmp_path / "secret").write_text("0123456789abcdef\n")
        assert targets.read(path).kind == "webhook"
        assert "city: 1 sent, 0 refused" in out(data, "bridge", "forward", path, "--once")
        assert server.posts[0].document["messages"][0]["values"][0]["value"] == "1.500"
    (listed,) = out_json(data, "bridge", "list")["targets"]
    assert (listed["sent"], listed["queued"], listed["refused"]) == (1, 0, 0)


# A bridge that is killed with SIGKILL at a statement.
KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
left = int(sys.argv.pop(1))
@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
from fleet.cli.main import main
main()
"""


def test_kill_9_in_the_middle_loses_nothing_and_stores_nothing_twice(
    data: Path, station: rig.Station, tmp_path: Path
) -> None:
    station.add(*((n, f"T{n % 6 + 1}", n, "1.5") for n in range(60)))
    rig.write(tmp_path, rig.table(station, "batch = 10"))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, script, "60", "--data", data, "bridge", "run",
         tmp_path / "scada.toml", "--once"],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    before = count(data)
    assert 0 < before < 50
    out(data, "bridge", "run", tmp_path / "scada.toml", "--once")
    assert count(data) == 50
    letters = rig.letters(data)
    assert len({json.dumps(one["cells"]) for one in letters}) == len(letters) == 10
