"""`kapok ports`: where boards are plugged in, by names that stay."""

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json, say_table


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also ports that are not of our list.")
@json_option
@one_line_errors
def ports(everything: bool, as_json: bool) -> None:
    """List the serial ports of boards: USB adapters that ESP32 boards carry, and virtual boards.

    A port's name says where it is plugged in, so it is the same after the board is swapped. Ports
    that are not on the list of hw/usb.toml are never opened unless they are named exactly.

    Example: kapok ports
    """
    from fleet.flashing.ports import discover

    found = [port for port in discover() if port.known or everything]
    if as_json:
        say_json([port._asdict() for port in found])
        return
    if not found:
        click.echo("no board is plugged in (kapok bench makes virtual ones)")
        return
    say_table(
        "ports",
        ["name", "device", "what", "serial number", "hub"],
        [[port.name, port.device, port.model, port.serial_number, port.hub] for port in found],
    )
