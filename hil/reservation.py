"""Places of a bench that several jobs share: reserved at a labgrid coordinator by what they can
do, waited for in the order of asking, and given back.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from typing import NamedTuple

from hil.faults import RigFault
from hil.inventory import Rig, RigFileError

CALL_S = 60.0  # one visit of labgrid-client, which takes a second to start


class Reserved(NamedTuple):
    """A place that is ours: `name` is the rig's, `token` the coordinator's reservation."""

    name: str
    token: str


class Coordinator:
    """The labgrid coordinator at `address` (HOST:PORT), as a holder of places for one job.

    A job whose process is killed keeps its place until somebody says
    `labgrid-client -p PLACE release --kick`: labgrid knows persons, not processes.
    """

    def __init__(self, address: str, rig: Rig, wait_s: float, job: str = "") -> None:
        self._rig = rig
        self._wait_s = wait_s
        self._address = address
        self.job = job or f"kapok-{os.getpid()}"
        # Where the rig's file says RemotePlace, labgrid asks for the place in the same name.
        os.environ["LG_USERNAME"] = self.job
        rig.environment.config.set_option("coordinator_address", address)

    def hold(self, name: str) -> Reserved:
        """A place that can do all that the rig's place `name` can, maybe that one; RigFault where
        none becomes free in time.
        """
        tags = [f"{key}={value}" for key, value in sorted(self._rig.place(name).tags.items())]
        token = self._client("reserve", "--shell", *tags).strip().rpartition("=")[2]
        place = ""
        try:
            self._wait(name, token)
            told = self._client("-p", f"+{token}", "acquire")
            place = told.strip().rpartition(" ")[2]
            self._look_again()
            return Reserved(self._rig.place(place).name, token)
        except RigFileError as e:
            self.let_go(Reserved(place, token))
            raise RigFault(f"the coordinator gave a place that the rig has not: {e}") from None
        except BaseException:
            if place:
                with contextlib.suppress(RigFault):
                    self._client("-p", place, "release")
            with contextlib.suppress(RigFault):
                self._client("cancel-reservation", token)
            raise

    def let_go(self, held: Reserved) -> None:
        """The next job may have it."""
        try:
            self._client("-p", held.name, "release")
        finally:
            self._client("cancel-reservation", held.token)

    def _look_again(self) -> None:
        """What labgrid knows of places in this process is from when it last listened: at the place
        before, when this one was not ours.
        """
        from labgrid.resource.remote import RemotePlaceManager

        session = RemotePlaceManager.get().session
        if session is None:  # this is the first
            return
        try:
            session.loop.run_until_complete(
                asyncio.wait_for(session.sync_with_coordinator(), CALL_S)
            )
        except TimeoutError:
            raise RigFault(
                f"coordinator {self._address}: it says no more which places are ours"
            ) from None

    def _wait(self, name: str, token: str) -> None:
        try:
            self._run(["wait", token], self._wait_s)
        except subprocess.TimeoutExpired:
            raise RigFault(
                f"{name}: no such place became free in {self._wait_s:.0f} s: "
                f"labgrid-client -x {self._address} reservations"
            ) from None

    def _client(self, *arguments: str) -> str:
        """One command of labgrid-client; its output. RigFault has its last line."""
        words = " ".join(word for word in arguments if not word.startswith("-"))
        try:
            done = self._run([*arguments], CALL_S)
        except subprocess.TimeoutExpired:
            raise RigFault(
                f"coordinator {self._address}: {words}: no answer in {CALL_S:.0f} s"
            ) from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
            last = lines[-1] if lines else "no message"
            raise RigFault(f"coordinator {self._address}: {words}: {last}")
        return done.stdout

    def _run(self, arguments: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ, "LG_COORDINATOR": self._address, "LG_USERNAME": self.job,
            "LG_HOSTNAME": os.environ.get("LG_HOSTNAME", socket.gethostname()),
        }  # fmt: skip
        for name in ("LG_ENV", "LG_PLACE", "LG_TOKEN"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, "-m", "labgrid.remote.client", *arguments],
            env=environment, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
