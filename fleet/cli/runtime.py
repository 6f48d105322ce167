"""`kapok runtime`: the MicroPython images that `kapok flash` takes when it is given none."""

from pathlib import Path

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json, say_table

_BENCH = "bench only: a stock image, not for nodes in the field"


@click.group()
def runtime() -> None:
    """MicroPython runtime images, checked and kept for flashing.

    Example: kapok runtime add ESP32_GENERIC-OTA-v1.28.0.bin
    """


@runtime.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@one_line_errors
def add(file: Path, as_json: bool) -> None:
    """Check a MicroPython image and keep it, in place of one of its chip and version.

    Combined images, as micropython.org has them, and application images are taken. The two runtime
    slots of a 4 MiB board have 1.5 MiB each: of an ESP32 an OTA build fits, of other chips one of
    your own (firmware/runtime/README.md).

    Example: kapok runtime add ESP32_GENERIC-OTA-v1.28.0.bin
    """
    from fleet.flashing import runtime_cache

    found, path = runtime_cache.add(file)
    if as_json:
        say_json(
            {
                "chip": found.chip,
                "version": found.version_text,
                "abi": ".".join(map(str, found.abi)),
                "bench_only": not found.hardened,
                "bootloader": found.bootloader is not None,
                "app_bytes": len(found.app),
                "sha256": found.digest,
                "path": str(path),
            }
        )
        return
    parts = "with its bootloader" if found.bootloader is not None else "application only"
    click.echo(f"{found.chip}: MicroPython {found.version_text}, {parts}, {len(found.app)} bytes")
    if not found.hardened:
        click.echo(_BENCH)


@runtime.command("list")
@json_option
@one_line_errors
def list_(as_json: bool) -> None:
    """List the images that are kept; each is read and checked.

    Example: kapok runtime list
    """
    from fleet.flashing import runtime_cache

    found = runtime_cache.entries()
    if as_json:
        say_json(
            [
                {
                    "chip": each.chip,
                    "version": ".".join(map(str, each.version)),
                    "bench_only": not each.hardened,
                    "damaged": each.damaged,
                    "bytes": each.size,
                    "sha256": each.digest,
                    "path": str(each.path),
                }
                for each in found
            ]
        )
        return
    say_table(
        "runtime images",
        ["chip", "version", "for", "state"],
        [
            [
                each.chip,
                ".".join(map(str, each.version)),
                "the field" if each.hardened else "bench only",
                f"DAMAGED: {each.damaged}" if each.damaged else "ok",
            ]
            for each in found
        ],
    )
