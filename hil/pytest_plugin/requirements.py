"""What the suite proves: hil/requirements.toml, and which tests name what of it."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from hil.inventory import RigFileError

DEFAULT = Path(__file__).parents[1] / "requirements.toml"
MEASURED = "measured"  # a table at the end
_ID = re.compile(r"K-[A-Z]{2,6}-[0-9]{2}")


def load(path: Path = DEFAULT) -> dict[str, str]:
    """Id to text, in the file's order; RigFileError says what is wrong with it."""
    return _read(path)[0]


def measured(path: Path = DEFAULT) -> frozenset[str]:
    """Those of which a virtual board's figures prove nothing; RigFileError."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, str], frozenset[str]]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise RigFileError(f"{path}: no TOML that can be read: {' '.join(str(e).split())}") from e
    table = values.pop(MEASURED, {"ids": []})
    for name, text in values.items():
        if not _ID.fullmatch(name) or not isinstance(text, str) or not text.strip():
            raise RigFileError(f'{path}: {name}: an entry is K-AREA-01 = "what is required"')
    ids = table.get("ids") if isinstance(table, dict) else None
    if not isinstance(ids, list) or not all(each in values for each in ids):
        raise RigFileError(f'{path}: {MEASURED}: it is ids = ["K-AREA-01", ...] of those above')
    return values, frozenset(ids)


def refusal(named: Iterable[str], known: Mapping[str, str]) -> str | None:
    """Why a test with these requirements is none of the suite; None where it is one."""
    unknown = [each for each in named if each not in known]
    if unknown:
        return f"unknown requirement {', '.join(unknown)}: add it to hil/requirements.toml"
    if not list(named):
        return 'it names no requirement: add @pytest.mark.requirement("K-…")'
    return None
