"""A bench of virtual boards as a process of its own, as a technician would start it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bench(folder: Path, *options: str) -> Iterator[Path]:
    """`kapok bench` with these options, ready; yields the folder for KAPOK_BENCH."""
    environment = {**os.environ, "KAPOK_BENCH": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet", "bench", "--json", *options],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the bench did not start"
        yield folder
    finally:
        process.terminate()
        process.communicate()
