"""The rescue image: what of the firmware links up and takes items, and a main of its own."""

from pathlib import Path

from fleet.releases import slots
from fleet.releases.slots import BuildError

FILE = "/rescue.romfs"  # in the `rescue` partition, as in firmware/boot.py
MAIN = "rescue/main.py"  # of the firmware folder; in the image it is node/main.py
# What only an ordinary wake needs: no roles, no senses, no journal, no reports of readings.
_LEFT_OUT = (
    "app.py", "commands.py", "cycle.py", "events.py", "health.py", "heartbeats.py", "link/sntp.py",
    "log.py", "main.py", "power/", "reports.py", "retry.py", "roles/", "sense/",
    "store/journal.py", "store/lazy.py", "store/ledger.py", "store/nojournal.py",
    "store/register.py", "store/segment.py", "store/segments.py", "timekeeping.py",
    "wire/command.py",
    "wire/logcode.py", "wire/quantity.py", "wire/report.py",
    "wire/modbus.py", "wire/dlt645.py", "wire/cjt188.py",
    "lampplan.py", "twilight.py", "passing.py",
)  # fmt: skip


def build(firmware_dir: Path, out: Path) -> dict[str, bytes]:
    """The files of the rescue partition by path; `out` as in `slots.build`. BuildError."""
    sources = {
        name: text
        for name, text in slots.read_sources(firmware_dir).items()
        if not name.removeprefix("node/").startswith(_LEFT_OUT)
    }
    try:
        sources["node/main.py"] = (firmware_dir / MAIN).read_text()
    except OSError as e:
        raise BuildError(f"{firmware_dir / MAIN}: cannot be read: {e.strerror}") from None
    return {FILE: slots.compiled(sources, out, slots.reached(firmware_dir))}
