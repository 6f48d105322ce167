"""docs/configuration.md: `python -m fleet.control.keys_page > docs/configuration.md`."""

import sys
from collections.abc import Iterator

from fleet import schema
from fleet.control.keys import Key, keys

_HEAD = """\
# Configuration of a node

Every key that a node takes, by role, from the node's own schema. A patch sets keys, or gives a key
its default back by null; the node checks it whole, applies it whole, and takes it back by itself
when four contacts in a row do not reach the fleet with it. Each key that it refuses is named in
its answer. What the board is (`node`, `role`, `modem`, `pins`, `board`) stays with the board.

This page is made by `python -m fleet.control.keys_page`.
"""


def page() -> str:
    """The whole page."""
    common = {key.name for key in keys(schema.ROLES[0])}
    for role in schema.ROLES:
        common &= {key.name for key in keys(role)}
    parts = [_HEAD, *_table("Every role", [k for k in keys(schema.ROLES[0]) if k.name in common])]
    for role in schema.ROLES:
        parts += _table(f"`{role}`", [k for k in keys(role) if k.name not in common])
    return "\n".join(parts) + "\n"


def _table(title: str, rows: list[Key]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| key | bounds | default | unit | meaning |"
    yield "|---|---|---|---|---|"
    for key in rows:
        bounds = (
            f"{key.least}..{key.most}" if key.least is not None else f"{key.type} ≤ {key.most}"
        )
        default = "" if key.default in (None, "") else str(key.default)
        yield f"| `{key.name}` | {bounds} | {default} | {key.unit} | {key.en} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
