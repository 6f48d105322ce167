"""A year of civil twilight beside astral's, place by place: `make bench-twilight`.

The node's integers run on the MicroPython VM, with all that makes floats by name taken away.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.unit.firmware.test_twilight import FAR, PLACES, ROOT, YEAR, events, micro

LIMIT_S = 60


def on_the_vm(places: dict[str, tuple[float, float]]) -> dict[str, list[tuple[int, int]]]:
    """(dawn, dusk) of each day of the year by place."""
    rows = [[day, *micro(place)] for place in places.values() for day in YEAR]
    vm = str(Path(sys.executable).with_name("micropython"))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rows, file)
        file.flush()
        script = [str(ROOT / "tests/vm/twilight_check.py"), str(ROOT / "firmware"), file.name]
        ran = subprocess.run(
            [vm, "-X", "heapsize=16m", *script], capture_output=True, text=True, check=True
        )
    found = [(dawn, dusk) for dawn, dusk in json.loads(ran.stdout)]
    size = len(YEAR)
    return {name: found[i * size : (i + 1) * size] for i, name in enumerate(places)}


def main() -> int:
    """Exit code 0 while every place below the polar summers' latitudes is within the limit."""
    found = on_the_vm(PLACES | FAR)
    print(
        f"{'place':<12}{'north':>8}{'east':>9}{'events':>8}{'dark':>6}{'light':>7}{'worst s':>9}"
    )
    worst = 0.0
    for name, place in (PLACES | FAR).items():
        spans = [dusk - dawn for dawn, dusk in found[name]]
        dark, light = sum(s < 60 for s in spans), sum(s > 86_340 for s in spans)
        pairs = list(events(place, YEAR))
        mine = {time for pair in found[name] for time in pair}
        assert all(time in mine for time, _ in pairs), "the VM and CPython differ"
        told = "-"  # refraction counts for minutes where the sun sinks as flat as there
        if name in PLACES:
            off = max(abs(a - b) for a, b in pairs)
            worst, told = max(worst, off), f"{off:.1f}"
        numbers = f"{len(pairs):>8}{dark:>6}{light:>7}{told:>9}"
        print(f"{name:<12}{place[0]:>8.2f}{place[1]:>9.2f}{numbers}")
    print(
        "worst: the largest difference to astral's dawn and dusk of 2026, which count refraction;"
    )
    print(f"limit {LIMIT_S}; dark, light: days that the sun stays below or above -6 degrees")
    return 0 if worst < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
