"""What `kapok flash` shows while it works: a bar a board on a terminal, else lines."""

from types import TracebackType
from typing import Any, Protocol, Self

import rich_click as click

from fleet.flashing.flash_board import Progress, Result

STEP = 25  # per cent between two lines of one board


class Display(Protocol):
    """A context manager that is told what happens, one call at a time."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def progress(self, progress: Progress) -> None:
        """A board went on."""

    def result(self, result: Result) -> None:
        """A board is finished."""


def outcome(result: Result) -> str:
    """One line of how a board ended, without its port."""
    if result.error:
        return result.error
    what = f"{result.written_bytes >> 10} KiB written" if result.written else "nothing differed"
    return f"{result.result}, node {result.node_id}, {what}, {result.seconds:.1f} s"


class Bars:
    """Rich bars on standard error, whose width is the terminal's."""

    def __init__(self, names: list[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bars = RichProgress(
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[phase]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, Any] = {
            name: self._bars.add_task(name, total=1.0, name=name, phase="waits", start=False)
            for name in names
        }
        self._started: set[str] = set()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def progress(self, progress: Progress) -> None:
        """Move the board's bar."""
        task = self._tasks[progress.port]
        if progress.port not in self._started:
            self._started.add(progress.port)
            self._bars.start_task(task)
        self._bars.update(task, completed=progress.fraction, phase=progress.phase)

    def result(self, result: Result) -> None:
        """Stop the board's bar; where it stands tells how far the board came."""
        task = self._tasks[result.port]
        if result.ok:
            self._bars.update(task, completed=1.0)
        self._bars.update(task, phase=result.result)
        self._bars.stop_task(task)


class Lines:
    """A line for each phase and every STEP per cent, on standard error."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        """Say it where it is news."""
        percent = int(progress.fraction * 100)
        now = (progress.phase, percent // STEP)
        if self._said.get(progress.port) != now:
            self._said[progress.port] = now
            click.echo(f"{progress.port}: {progress.phase} {percent} %", err=True)

    def result(self, result: Result) -> None:
        """The board's last line."""
        text = outcome(result)
        prefix = "" if text.startswith(result.port) else f"{result.port}: "
        click.echo(f"{prefix}{text}", err=True)
