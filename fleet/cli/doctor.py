"""`kapok doctor`: why a board cannot be flashed."""

import sys
from typing import TYPE_CHECKING

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json

if TYPE_CHECKING:
    from fleet.flashing.checkup import Finding


@click.command()
@click.option(
    "--port", "patterns", multiple=True, metavar="PORT", help="Look at these: see ports."
)
@click.option("--install-udev", is_flag=True, help="Install the udev rule of kapok; needs root.")
@json_option
@one_line_errors
def doctor(patterns: tuple[str, ...], install_udev: bool, as_json: bool) -> None:
    """Look at what keeps a board from being flashed, and say what to do.

    Tells a port that is not there from one that is denied or busy, and a board that does not enter
    its loader by what it says. A board that was looked at starts its application again.

    Exit code 1 when anything is wrong.

    Example: kapok doctor --port virtual:3
    """
    from fleet.flashing import checkup, udev
    from fleet.flashing.checkup import Finding
    from fleet.flashing.errors import FlashError
    from fleet.flashing.ports import find

    if install_udev:
        done = udev.install()
        if as_json:
            say_json({"done": done})
        else:
            click.echo("\n".join(done))
        return
    general = [*checkup.tools(), checkup.rule()]
    looked: dict[str, list[Finding]] = {}
    for pattern in patterns:
        try:
            for port in find([pattern]):
                looked[port.name] = checkup.check_port(port)
        except FlashError as e:
            looked[pattern] = [Finding("port", False, str(e))]
    found = [*general, *(one for each in looked.values() for one in each)]
    if as_json:
        say_json(
            {
                "general": [finding._asdict() for finding in general],
                "ports": {n: [one._asdict() for one in each] for n, each in looked.items()},
            }
        )
    else:
        _say("this machine", general)
        for name, findings in looked.items():
            _say(name, findings)
        if not looked:
            click.echo("name a port to look at a board: kapok doctor --port NAME (kapok ports)")
    if not all(finding.ok for finding in found):
        sys.exit(1)


def _say(title: str, findings: "list[Finding]") -> None:
    click.echo(f"{title}:")
    for finding in findings:
        click.echo(f"  {'ok' if finding.ok else 'NO'}  {finding.what}: {finding.text}")
