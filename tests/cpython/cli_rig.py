"""`kapok` in this process, on a data folder of the test."""

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from fleet.cli.main import kapok
from fleet.identity.client import make_key_and_csr

AREA = "440106"


def run(data: Path, *arguments: object) -> Result:
    """`kapok --data DATA ARGUMENTS`; an exception that is no exit fails the test."""
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(kapok, ["--data", str(data), *words], prog_name="kapok")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@functools.cache
def _template() -> Path:
    """A data folder after `kapok init`, the same for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="kapok-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    out(folder / "data", "init")
    return folder / "data"


def initialised(data: Path) -> Path:
    """A data folder as `kapok init` leaves it, for tests that are not about that command."""
    return Path(shutil.copytree(_template(), data))


def out(data: Path, *arguments: object) -> str:
    """What a command that succeeds prints."""
    result = run(data, *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def out_json(data: Path, *arguments: object) -> Any:
    """The same with --json, decoded."""
    return json.loads(out(data, *arguments, "--json"))


def refusal(data: Path, *arguments: object, code: int = 1) -> str:
    """The one line that a refused command prints to standard error; it prints nothing else."""
    result = run(data, *arguments)
    assert result.exit_code == code, (result.stdout, result.stderr)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("kapok: ")
    return result.stderr


def add_node(data: Path, node_id: str, *more: object) -> str:
    """Enrol a node of the area AREA; what the command prints."""
    request = data.parent / f"{node_id}.csr"
    request.write_bytes(make_key_and_csr(node_id)[1])
    return out(
        data, "node", "add", node_id, "--role", "drainage", "--area", AREA,
        "--csr", request, *more,
    )  # fmt: skip
