"""The README's technician chapter, pasted into three terminals as it stands, but that fewer boards
stand for its hub full of them: how many at once a machine can take is test_flash_many's matter.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY_S, BOARDS_S = 60, 420
GOOD = 3


def blocks() -> list[str]:
    """The three blocks of commands, without the line that makes `kapok` known."""
    chapter = (ROOT / "README.md").read_text().split("## The technician's bench")[1]
    found = re.findall(r"```\n(.*?)```", chapter.split("\n## ")[0], re.DOTALL)
    assert len(found) == 3
    return [block.partition("\n")[2] for block in found]


class Desk:
    """A folder, and terminals in it. `kapok` is this checkout's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tools = folder / "bin"
        tools.mkdir()
        kapok = tools / "kapok"
        kapok.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fleet "$@"\n')
        kapok.chmod(0o755)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("KAPOK_")},
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def run(self, text: str) -> "subprocess.CompletedProcess[str]":
        """Paste the text into a shell of its own; each command is echoed with its exit code."""
        script = "\n".join(f'{line}\necho "exit $?"' for line in text.splitlines())
        return subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BOARDS_S, check=False,
        )  # fmt: skip

    @contextmanager
    def terminal(self, text: str, sign: str) -> Iterator[None]:
        """A command that stays, from when it has printed `sign`; Ctrl-C ends it, and well."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {text}"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if sign in line:
                    break
            else:
                pytest.fail(f"{text}: never said {sign!r}")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=READY_S)
        assert process.returncode == 0


def test_the_chapter_as_pasted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    fleet, bench, work = blocks()
    assert "--boards 8 " in bench
    bench = bench.replace("--boards 8 ", f"--boards {GOOD} ")
    *prepare, serve = fleet.splitlines()
    done = desk.run("\n".join(prepare))
    assert done.stdout.count("exit 0") == len(prepare), done.stdout
    settings = tmp_path / "kapok-data" / "kapok.toml"
    text = settings.read_text()  # other tests run beside this one: any free ports
    settings.write_text(re.sub(r"^port = \d+", "port = 0", text, flags=re.MULTILINE))
    assert "[enrol]" in settings.read_text()
    with desk.terminal(serve, "serving:"), desk.terminal(bench.strip(), f"{GOOD + 2} boards"):
        done = desk.run(work)
    out = done.stdout
    codes = [int(code) for code in re.findall(r"^exit (\d+)$", out, re.MULTILINE)]
    # The last two boards fail to be flashed, and one of them to be provisioned; all else is well.
    assert codes == [1, 0, 1, 0, 0, 0], out
    assert len(re.findall(r"^virtual:\d+: flashed, node", out, re.MULTILINE)) == GOOD
    wrong = "the chip is esp32c3, the board file says esp32s3"
    assert re.search(rf"virtual:{GOOD + 1}: .*{wrong}", out)
    assert re.search(rf"virtual:{GOOD + 2}: .*", out)
    assert len(re.findall(r"│ virtual:\d+ │ provisioned", out)) == GOOD
    assert "A report went through" in out
    assert (tmp_path / "labels.pdf").read_bytes().startswith(b"%PDF")
    assert "Traceback" not in out
