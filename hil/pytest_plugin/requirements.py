"""What the suite proves: hil/requirements.toml, and which tests name what of it."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from hil.inventory import RigFileError

DEFAULT = Path(__file__).parents[1] / "requirements.toml"
_ID = re.compile(r"K-[A-Z]{2,6}-[0-9]{2}")


def load(path: Path = DEFAULT) -> dict[str, str]:
    """Id to text, in the file's order; RigFileError says what is wrong with it."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise RigFileError(f"{path}: no TOML that can be read: {' '.join(str(e).split())}") from e
    for name, text in values.items():
        if not _ID.fullmatch(name) or not isinstance(text, str) or not text.strip():
            raise RigFileError(f'{path}: {name}: an entry is K-AREA-01 = "what is required"')
    return values


def refusal(named: Iterable[str], known: Mapping[str, str]) -> str | None:
    """Why a test with these requirements is none of the suite; None where it is one."""
    unknown = [each for each in named if each not in known]
    if unknown:
        return f"unknown requirement {', '.join(unknown)}: add it to hil/requirements.toml"
    if not list(named):
        return 'it names no requirement: add @pytest.mark.requirement("K-…")'
    return None
