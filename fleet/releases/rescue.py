"""The rescue partition: what of the firmware links up and takes items, with a main of its own, and
the supervisor, which a node without a file system starts from there and is given back from there.
"""

import ast
from pathlib import Path

from fleet.releases import flat, slots
from fleet.releases.kept import kept
from fleet.releases.slots import BuildError

FILE = "/rescue.romfs"  # in the `rescue` partition, as in firmware/boot.py
MAIN = "rescue/main.py"  # of the firmware folder; in the image it is node/main.py
# What only an ordinary wake needs: no roles, no senses, no journal, no reports of readings.
_LEFT_OUT = (
    "app.py", "claim.py", "commands.py", "cycle.py", "events.py", "health.py", "heartbeats.py",
    "link/claim_", "link/diagnosis.py", "link/https.py", "link/sntp.py",
    "log.py", "main.py", "power/", "reports.py", "retry.py", "roles/", "sense/",
    "store/journal.py", "store/lazy.py", "store/ledger.py", "store/nojournal.py",
    "store/register.py", "store/segment.py", "store/segments.py", "timekeeping.py",
    "wire/claim.py", "wire/command.py",
    "wire/logcode.py", "wire/nodeid.py", "wire/quantity.py", "wire/report.py",
    "wire/modbus.py", "wire/dlt645.py", "wire/cjt188.py",
    "lampplan.py", "twilight.py", "passing.py", "update/modem_part.py",
    "update/pack_part.py",
)  # fmt: skip


def build(firmware_dir: Path, out: Path) -> dict[str, bytes]:
    """The files of the rescue partition by path; `out` as in `slots.build`. BuildError."""
    everything = slots.read_sources(firmware_dir)
    sources = {
        name: text
        for name, text in everything.items()
        if not name.removeprefix("node/").startswith(_LEFT_OUT)
    }
    try:
        sources["node/main.py"] = (firmware_dir / MAIN).read_text()
    except OSError as e:
        raise BuildError(f"{firmware_dir / MAIN}: cannot be read: {e.strerror}") from None
    outside = slots.reached(firmware_dir)
    places = flat.names(everything)

    def make() -> bytes:
        return slots.slot_image(slots.compiled(sources, out, outside, places))

    # A change of what is not in it leaves it as it was.
    return {
        FILE: kept(out, ["rescue", sources, sorted(outside), places], make),
        **{f"/{name}": minified(firmware_dir / name) for name in slots.SUPERVISOR},
    }


def minified(path: Path) -> bytes:
    """A supervisor's file without comments and docstrings: the partition has no room for them."""
    try:
        tree = ast.parse(path.read_text())
    except (OSError, SyntaxError) as e:
        raise BuildError(f"{path}: {e}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.unparse(tree).encode() + b"\n"
