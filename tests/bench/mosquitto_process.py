"""A Mosquitto of its own on a free port, started, killed and started again on the same port."""

import asyncio
import shutil
import signal
import socket
from pathlib import Path

from fleet.broker.mosquitto import MosquittoSettings, render
from hil.fleet_process import die_with_parent

READY_S = 10.0


def free_port() -> int:
    """A TCP port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def binary() -> str:
    """Path of the broker; FileNotFoundError names the Debian package."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if not found:
        raise FileNotFoundError("mosquitto is not installed: apt-get install mosquitto")
    return found


class MosquittoProcess:
    """`pki` is the folder of the fleet's certificate authority."""

    def __init__(self, folder: Path, pki: Path) -> None:
        self.port = free_port()
        self._log = folder / "mosquitto.log"
        self._conf = render(
            folder,
            MosquittoSettings(
                port=self.port,
                certificate=pki / "server.crt",
                key=pki / "server.key",
                authorities=pki / "bundle.crt",
                crl=pki / "crl.pem",
            ),
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when it accepts connections."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                binary(),
                "-c",
                str(self._conf),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
                    continue
                writer.close()
                return

    async def kill(self) -> None:
        """kill -9: what it had acknowledged and not passed on is gone."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
