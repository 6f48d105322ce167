"""A labgrid coordinator and an exporter on loopback, and jobs of CI that share their places."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hil import share
from hil.fleet_process import die_with_parent
from hil.inventory import load

ROOT = Path(__file__).parents[2]
SOON_S = 120.0  # for what takes a second on a machine of its own
ENDS_S = 600.0  # a whole job, which loads the suite

# Resources as they are at the exporter's machine; jobs have them from the coordinator.
SHARED = """
targets:
  meter-1:
    features: [power]
    resources:
      VirtualBoard: {board: esp32s3-bc660k, nodes: [gas-meter]}
  lamp-1:
    resources:
      VirtualBoard: {board: esp32-ec200, nodes: [lamppost, gateway]}
"""
JOBS = """
imports: [hil.strategy, rig_fakes]
targets:
  meter-1:
    features: [power]
    options: {board: esp32s3-bc660k, nodes: [gas-meter]}
    resources:
      RemotePlace: {name: meter-1}
    drivers: &paper
      PaperBoard: {}
      NodeStrategy: {}
  lamp-1:
    options: {board: esp32-ec200, nodes: [lamppost, gateway]}
    resources:
      RemotePlace: {name: lamp-1}
    drivers: *paper
"""
# The suite's own fixtures, places and strategy; of paper are only board and fleet.
CONFTEST = """
import pytest
import rig_fakes

@pytest.fixture(scope="session")
def worker_fleet():
    return rig_fakes.PaperFleet(reports=1 << 62)
"""


def until(what: Callable[[], object], why: str) -> None:
    """Wait for something of other processes; AssertionError when it does not come."""
    end = time.monotonic() + SOON_S
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.1)


class Bench:
    """A shared bench in `folder`: its coordinator's address, and jobs on it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address

    def client(self, *arguments: str) -> str:
        """What labgrid-client prints."""
        return subprocess.run(
            [sys.executable, "-m", "labgrid.remote.client", "-x", self.address, *arguments],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    @contextmanager
    def job(self, name: str, test: str, *options: str) -> Iterator["Program"]:
        """`pytest --coordinator` with one test, running in a folder of its own."""
        folder = self.folder / name
        folder.mkdir()
        for file, text in (
            ("rig.yaml", JOBS), ("conftest.py", CONFTEST),
            ("requirements.toml", 'K-REG-01 = "A node registers"'), ("test_it.py", test),
        ):  # fmt: skip
            (folder / file).write_text(text)
        command = [
            sys.executable, "-m", "pytest", "-p", "hil.pytest_plugin", "-p", "hil.fixtures",
            "-p", "no:cacheprovider",
            "--rig", "rig.yaml", "--requirements", "requirements.toml", "-ra",
            "--coordinator", self.address, *options,
        ]  # fmt: skip
        with started(command, folder, "job") as program:
            yield program


class Program:
    """A process with its output in a file: nobody need read it for it to go on."""

    def __init__(self, command: list[str], folder: Path, name: str) -> None:
        self._log = folder / f"{name}.log"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509  before any thread of its own
            )  # fmt: skip

    def ended(self) -> tuple[int, str]:
        """Its exit code and all that it printed, when it has ended."""
        try:
            code = self.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended: {self._log.read_text()}") from None
        return code, self._log.read_text()


@contextmanager
def started(command: list[str], folder: Path, name: str) -> Iterator[Program]:
    """Run; end it at the end."""
    program = Program(command, folder, name)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.wait()


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Coordinator and exporter run, and the places of SHARED are known."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    rig = folder / "bench.yaml"
    rig.write_text("imports: [hil.resources]\n" + SHARED)
    exported = folder / "exporter.yaml"
    exported.write_text(share.exporter_file(load(rig)))
    module = [sys.executable, "-m"]
    coordinator = [*module, "labgrid.remote.coordinator", "-l", address]
    exporter = [*module, "labgrid.remote.exporter", "-c", address, "-n", "bench", str(exported)]
    with started(coordinator, folder, "coordinator"):
        until(lambda: _listens(address), "the coordinator does not listen")
        assert share.publish(load(rig), address, "bench") == ["meter-1", "lamp-1"]
        with started(exporter, folder, "exporter"):
            found = Bench(folder, address)
            until(
                lambda: found.client("resources").count("VirtualBoard") == 2,
                "the exporter's resources are not known",
            )
            yield found


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
