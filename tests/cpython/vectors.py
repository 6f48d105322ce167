"""The recorded contacts of tests/vectors, one for each modem family, and scripts of tests/vm."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/vectors"
FAMILIES = ("a7670", "bc660k", "bc95", "ec200", "sim7080")
Lines = list[tuple[str | None, str]]


def path(family: str) -> Path:
    """The transcript of a family."""
    return FOLDER / f"{family}.jsonl"


def lines(family: str) -> Lines:
    """(request, reply) of each line, Latin-1; request None for what came unasked."""
    entries = [json.loads(line) for line in path(family).read_text().splitlines()]
    return [(entry["request"], entry["reply"]) for entry in entries]


def replies(family: str) -> list[bytes]:
    """What the modem said, line by line."""
    return [reply.encode("latin-1") for _, reply in lines(family)]


def script(name: str) -> ModuleType:
    """A script of tests/vm as a module, to run here what runs on the VM."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tests/vm/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_the_vm(
    micropython: list[str], name: str, folder: Path, records: dict[str, Lines] | None = None
) -> Any:
    """What the script `name` of tests/vm makes of records on the VM; all transcripts for None."""
    source, target = folder / "in.json", folder / "out.json"
    if records is None:
        records = {family: lines(family) for family in FAMILIES}
    source.write_text(json.dumps(records))
    done = subprocess.run(
        [*micropython, str(ROOT / f"tests/vm/{name}.py"), str(ROOT / "firmware"), source, target],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(target.read_text())
