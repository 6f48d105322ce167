"""What alarms cost the ingest: processor time of a batch with and without them, and of a blackout.

`make bench-alarms`; it fails while a report costs over its limit.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import pytest
from alarm_rig import EVENT, AlarmRig

from fleet.alarms import intake

REPORTS, RECORDS, ROUNDS = 500, 6, 7
POWER_LOST = 45
LIMIT_MS = 2.0  # of one report: SQLite alone takes about 0.4
# role -> what a record of it holds
ROLES = {"gas-meter": [(1, 1000)], "drainage": [(2, 1000), (13, 5)], "lamppost": [(3, 1)]}


def batch_s(role: str, values: list[tuple[int, int]], with_alarms: bool) -> float:
    """Processor seconds of a batch of REPORTS, the median of ROUNDS."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        rig = AlarmRig(Path(folder), patch)
        nodes = rig.nodes(role, REPORTS)
        if not with_alarms:
            patch.setattr(intake, "take", lambda *_: None)
        times = []
        for hour in range(ROUNDS):
            rig.now = 3600 * (hour + 1)
            at = [3600 * hour + 600 * n for n in range(RECORDS)]
            records = [(each, [(q, v + hour) for q, v in values]) for each in at]
            parts = [(node, rig.payload(node, records)) for node in nodes]
            began = time.process_time()
            rig.deliver(*parts)
            times.append(time.process_time() - began)
        return statistics.median(times)


def blackout_s() -> float:
    """Processor seconds of a batch in which REPORTS lampposts of a street lose their mains."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        rig = AlarmRig(Path(folder), patch)
        record = (0, [(EVENT + POWER_LOST, 1)])
        parts = [(n, rig.payload(n, [record])) for n in rig.nodes("lamppost", REPORTS)]
        began = time.process_time()
        rig.deliver(*parts)
        spent = time.process_time() - began
        assert rig.kinds() == ["lighting.street-dark"]
        return spent


def main() -> int:
    """The table; 1 when something is over its limit."""
    worst = 0.0
    for role, values in ROLES.items():
        bare, whole = batch_s(role, values, False), batch_s(role, values, True)
        each = (whole - bare) / REPORTS * 1000
        worst = max(worst, each)
        print(
            f"{role}: a batch of {REPORTS} reports with {RECORDS} records each takes"
            f" {bare * 1000:.0f} ms, with alarms {whole * 1000:.0f} ms: {each:.2f} ms a report"
        )
    each = blackout_s() / REPORTS * 1000
    print(f"blackout: {each:.2f} ms a lamppost, all in all")
    if worst > LIMIT_MS:
        print(f"over the limit of {LIMIT_MS} ms a report", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
