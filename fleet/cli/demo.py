"""`kapok demo`: five virtual nodes report to a fleet of their own."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

import rich_click as click

from fleet.cli.common import one_line_errors


@click.command()
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="End after so long; without it Ctrl-C ends the demo.",
)
@click.option(
    "--drainage-trace",
    "trace",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    metavar="FILE.csv",
    help="Drive the drainage node by `time,value` lines: ISO 8601 or s since 1970, metres.",
)
@one_line_errors
def demo(seconds: float | None, trace: Path | None) -> None:
    """Show a fleet and five virtual nodes at work, and count what was lost.

    The gas meter and the drainage point report over NB-IoT, the lamppost over LTE Cat1; an hour
    of theirs passes in a second. The last line is `sensed N stored N lost N duplicated N`.

    Exit code 0 when nothing was lost or duplicated, else 1.

    Example: kapok demo --for 60
    """
    from hil.demo import Demo

    async def run(folder: Path) -> int:
        show = Demo(folder, seconds, trace)
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            show.stop()  # once: end with the summary; twice: at once
            if task is not None:
                loop.add_signal_handler(signal.SIGINT, task.cancel)

        loop.add_signal_handler(signal.SIGINT, interrupted)
        loop.add_signal_handler(signal.SIGTERM, interrupted)
        counts = await show.run()
        click.echo(counts.line())
        return 1 if counts.lost or counts.duplicated or counts.stored != counts.sensed else 0

    with tempfile.TemporaryDirectory(prefix="kapok-demo-") as folder:
        try:
            code = asyncio.run(run(Path(folder)))
        except asyncio.CancelledError:
            raise click.ClickException("interrupted before the count") from None
    sys.exit(code)
