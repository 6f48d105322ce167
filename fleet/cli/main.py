"""`kapok`: the group, and the commands by name. A command's module is loaded when it is called."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rich_click as click

COMMANDS = {
    "alarm": ("fleet.cli.alarm", "alarm", "Alarms, and who is told of them."),
    "area": ("fleet.cli.area", "area", "Areas: add, list."),
    "battery": ("fleet.cli.battery", "battery", "How long a node's battery lasts."),
    "bench": ("fleet.cli.bench", "bench", "Virtual boards that real tools can flash."),
    "bridge": ("fleet.cli.bridge", "bridge", "Read master stations; forward to platforms."),
    "coap": ("fleet.cli.coap", "coap", "Run CoAP in processes of its own."),
    "command": ("fleet.cli.command", "command", "Commands to nodes: send, approve, show."),
    "config": ("fleet.cli.config", "config", "Configuration of nodes, groups and areas."),
    "demo": ("fleet.cli.demo", "demo", "Five virtual nodes report to a fleet."),
    "diag": ("fleet.cli.diag", "diag", "Examine the node at a port."),
    "doctor": ("fleet.cli.doctor", "doctor", "Why a board cannot be flashed."),
    "flash": ("fleet.cli.flash", "flash", "Flash boards, many at once."),
    "group": ("fleet.cli.group", "group", "Groups of nodes."),
    "hw": ("fleet.cli.hw", "hw", "Boards and node types: check, show."),
    "identity": ("fleet.cli.identity", "identity", "Audit of keys and certificates."),
    "init": ("fleet.cli.init", "init", "Make a data folder, or bring one up to date."),
    "install": ("fleet.cli.install", "install", "Link a node, an asset and a place."),
    "journal": ("fleet.cli.journal", "journal", "Journals of nodes: drain, export, import."),
    "label": ("fleet.cli.label", "label", "Print labels with QR codes."),
    "legacy": ("fleet.cli.legacy", "legacy", "Old terminals: serve, decode frames."),
    "migrate": ("fleet.cli.migrate", "migrate", "Move 2G/3G terminals: import, plan, waves."),
    "modem-files": ("fleet.cli.modem_files", "modem_files", "Give modems their firmware."),
    "modem-twin": ("fleet.cli.modem_twin", "modem_twin", "A modem for anybody's driver."),
    "node": ("fleet.cli.node", "node", "Nodes: add, list, show, revoke."),
    "ports": ("fleet.cli.ports", "ports", "Where boards are plugged in."),
    "prompt": ("fleet.cli.diag", "prompt", "Stop a node at its prompt, for mpremote."),
    "provision": ("fleet.cli.provision", "provision", "Give boards their identities."),
    "readings": ("fleet.cli.readings", "readings", "Show readings."),
    "release": ("fleet.cli.release", "release", "Releases: build, sign, promote, revoke."),
    "rollout": ("fleet.cli.rollout", "rollout", "Rollouts of releases to many nodes."),
    "runtime": ("fleet.cli.runtime", "runtime", "MicroPython images: add, list."),
    "secure": ("fleet.cli.secure", "secure", "Secure boot and flash encryption."),
    "serve": ("fleet.cli.serve", "serve", "Run broker, ingest, CoAP and API."),
    "swap": ("fleet.cli.install", "swap", "Put a node in another's place."),
    "token": ("fleet.cli.token", "token", "Claim tokens of technicians: add, list, revoke."),
    "valve": ("fleet.cli.valve", "valve", "How soon a valve is closed, and what that costs."),
    "voucher": ("fleet.cli.voucher", "voucher", "Vouchers for provisioning without a network."),
    "why": ("fleet.cli.why", "why", "What a node's updates wait for."),
}


class _Kapok(click.RichGroup):
    """Knows its commands by name, so that the start is quick; says what went wrong in one line."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """As click's, but that an error is one line, whatever the terminal's width."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        try:
            code = super().main(args, standalone_mode=False, **extra)
        except click.ClickException as e:
            text = " ".join(e.format_message().split())
            if isinstance(e, click.UsageError) and e.ctx is not None:
                text = f"{text} ({e.ctx.command_path} --help)"
            click.echo(f"kapok: {text}", err=True)
            sys.exit(e.exit_code)
        except click.Abort:
            click.echo("kapok: interrupted", err=True)
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)


@click.group(cls=_Kapok, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="KAPOK_DATA",
    default="kapok-data",
    show_default=True,
    help="Data folder; also by the environment variable KAPOK_DATA.",
)
@click.version_option(package_name="kapok", prog_name="kapok")
@click.pass_context
def kapok(ctx: click.Context, data: Path) -> None:
    """Edge-gateway firmware and a fleet manager for urban sensors.

    Exit codes: 0 done, 1 refused or not found, 2 wrong usage.

    Example: kapok init && kapok serve
    """
    ctx.obj = data


def main() -> None:
    """Entry point: no traceback ever reaches a user who made a mistake."""
    kapok(prog_name="kapok")
