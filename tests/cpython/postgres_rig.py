"""A PostgreSQL server of a test's own, in a folder, on a socket there, where there is one."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_USER = "postgres"  # root may not run a server


def missing() -> str:
    """Why there can be none here; empty where there can."""
    if not _BINARIES:
        return "PostgreSQL is not installed"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed"
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        return "root cannot run PostgreSQL without runuser"
    return ""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database."""
    # The server's user must reach it, and a socket's path has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="kapok-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, _USER)
    try:
        _run("initdb", "-D", folder / "data", "-A", "trust", "-U", _USER, "-E", "UTF8", "-N")
        options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={folder}"
        log = folder / "log"
        _run("pg_ctl", "-D", folder / "data", "-w", "-l", log, "-o", options, "start")
        try:
            yield f"postgresql+psycopg://{_USER}@/postgres?host={folder}"
        finally:
            _run("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: object) -> None:
    command = [str(_BINARIES[-1] / program), *map(str, arguments)]
    if os.geteuid() == 0:
        command = ["runuser", "-u", _USER, "--", *command]
    done = subprocess.run(  # its own server
        command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr.strip()[-300:]}")
