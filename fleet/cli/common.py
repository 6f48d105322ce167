"""What the commands share: the data folder, output, and errors of one line."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import rich_click as click

from fleet.errors import Refusal
from fleet.settings import Settings, load

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def data_folder() -> Path:
    """The folder that --data or KAPOK_DATA names."""
    path: Path = click.get_current_context(silent=False).find_root().obj  # type: ignore[union-attr]
    return path


def settings() -> Settings:
    """The settings of that folder."""
    return load(data_folder())


@contextmanager
def database(*, needs: Settings | None = None) -> Iterator[Any]:
    """The fleet's database, its schema checked."""
    from fleet.db import revision
    from fleet.db.base import Database

    with closing(Database((needs or settings()).database_url)) as opened:
        revision.check(opened)
        yield opened


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Every refusal that the command may meet becomes one line and exit code 1."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return command(*args, **kwargs)
        except Refusal as e:
            raise click.ClickException(str(e)) from None
        except SQLAlchemyError as e:
            from fleet.db.base import reason_of

            raise click.ClickException(
                f"the database in {data_folder()}: {reason_of(e)}"
            ) from None
        except BrokenPipeError:
            raise
        except UnicodeEncodeError:
            raise click.ClickException("an argument is not UTF-8 text") from None
        except OSError as e:
            where = f" {e.filename}" if e.filename else ""
            raise click.ClickException(f"cannot use{where}: {e.strerror or e}") from None

    return wrapped


def port_or_off(text: str | None) -> int | str | None:
    """A port's number where the text is one; what else it may be, the settings decide."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() else text


def log_to_stderr() -> None:
    """JSON lines on standard error, for the commands that run for long."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def say_json(value: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def say_table(title: str, headings: list[str], rows: list[list[str]]) -> None:
    """A table for people, as wide as it needs: pipes must not cut it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # a name may look like markup
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)
    console.print(table)


def iso(us: int | None) -> str:
    """Microseconds since 1970 as ISO 8601 UTC; empty for None."""
    from datetime import UTC, datetime, timedelta

    if us is None:
        return ""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
