"""What `kapok install` and `kapok swap` share: take an act in now, or let it wait in a file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import database, say_json
from fleet.whoami import user_name

if TYPE_CHECKING:
    from fleet.registry.acts import Act
    from fleet.registry.installations import Taken

MAX_ACTS = 10_000
HASHED_BYTES = 100_000_000  # of a photo

queue_option = click.option(
    "--queue",
    type=click.Path(path_type=Path, dir_okay=False),
    help="No fleet within reach: add the act to this file, for kapok install --replay.",
)
person_option = click.option(
    "--person", default="", envvar="KAPOK_PERSON", help="Who does it; default: the login's name."
)


def who(person: str) -> str:
    """The technician's name: as given, or of the login."""

    from fleet.registry.operations import check_text

    try:
        return check_text(person or user_name(), "--person")
    except (KeyError, OSError):
        raise click.UsageError("--person NAME: this login has no name") from None


def photo(path: Path | None) -> tuple[str, str]:
    """A photo's path and SHA-256; empty without one. RegistryError when it cannot be kept."""
    import hashlib

    from fleet.registry.operations import RegistryError

    if path is None:
        return "", ""
    text = str(path)
    if not text.isprintable() or len(text) > 500:
        raise RegistryError(f"--photo: a printable path of 500 characters, not {text[:40]!r}")
    if path.stat().st_size > HASHED_BYTES:
        raise RegistryError(f"{path} is over {HASHED_BYTES} bytes: no photo")
    return text, hashlib.sha256(path.read_bytes()).hexdigest()


def do_or_queue(act: "Act", queue: Path | None, as_json: bool, hints: list[str]) -> None:
    """Take the act in, or add it to the file; `hints` go to standard error."""
    from fleet.alarms.departures import take_in
    from fleet.registry import acts

    if queue is not None:
        append(queue, acts.encode(act).encode() + b"\n")
        said: dict[str, Any] = {"id": act.id, "queued": str(queue)}
        text = f"queued in {queue}: kapok install --replay {queue} when the fleet is within reach"
    else:
        with database() as db, db.begin() as session:
            taken = take_in(session, act)
        said, text = _said(taken), taken.said
    if as_json:
        say_json({**said, "hints": hints})
        return
    click.echo(text)
    for hint in hints:
        click.echo(f"hint: {hint}", err=True)


def replay(path: Path, as_json: bool) -> None:
    """Take in every act of the file, each in its own transaction; what was done stays done."""
    from fleet.alarms.departures import take_in
    from fleet.registry import acts
    from fleet.registry.operations import RegistryError

    results: list[dict[str, Any]] = []
    failed = 0
    with database() as db:
        for number, line in lines(path):
            try:
                act = acts.decode(line)
                with db.begin() as session:
                    taken = take_in(session, act)
                results.append({"line": number, **_said(taken)})
            except RegistryError as e:
                failed += 1
                results.append({"line": number, "refused": str(e)})
    if as_json:
        say_json(results)
    else:
        for one in results:
            click.echo(f"{path}:{one['line']}: {one.get('said') or 'refused: ' + one['refused']}")
    if failed:
        raise click.ClickException(
            f"{failed} of {len(results)} acts refused; the others are taken in, once for ever"
        )


def _said(taken: "Taken") -> dict[str, Any]:
    return {key: value for key, value in taken._asdict().items() if key != "left"}


def append(path: Path, line: bytes) -> None:
    """Add a line that is on disk when this returns; a torn last line is cut off first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        whole = file.read()
        end = whole.rfind(b"\n") + 1
        file.seek(end)
        file.truncate()
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    from fleet.registry.acts import MAX_BYTES
    from fleet.registry.operations import RegistryError

    with path.open("rb") as file:
        for number in range(1, MAX_ACTS + 1):
            line = file.readline(MAX_BYTES + 2)
            if not line:
                return
            if line.strip():
                yield number, line.rstrip(b"\n")
    raise RegistryError(f"{path} has over {MAX_ACTS} acts: split it")
