"""Drainage points whose terminals are told their new network by what they hang on: items that are
ready, and the boxes at the other end.
"""

from pathlib import Path

import cli_rig
import migration_rig as rig

from fleet.migration import plugins

PROGRAMME = "drains"
PASSWORD = "s3cret"  # of a terminal that there is not
BY_SMS = """
[acme]
title = "Acme"
by = "sms"
[acme.to]
"NB-IoT" = [
  { send = "#{password}#APN={apn}#", expects = "(?i)done" },
  { send = "#{password}#NET=NB#", expects = "^OK$" },
]
[acme.back]
"NB-IoT" = [{ send = "#{password}#NET=2G#", expects = "^OK$" }]
"""
TACS = {"86722304": "quectel-nb", "86722305": "acme"}  # what configures the terminals by type


def number(n: int) -> str:
    """Of a terminal's card."""
    return f"138001380{n:02d}"


def make(data: Path, by_connection: int, by_sms: int = 0) -> Path:
    """A data folder with so many terminals, T1 on, all of them ready."""
    cli_rig.out(data, "init")
    folder = data.parent
    (data / plugins.LOCAL).write_text(BY_SMS)
    tacs = [
        {"tac": tac, "model": "box", "bearers": "2g nb", "configured by": name}
        for tac, name in TACS.items()
    ]
    rig.write(folder / "tacs.csv", tacs)
    lines = []
    for n in range(1, by_connection + by_sms + 1):
        tac = list(TACS)[n > by_connection]
        more = {"kind": "drainage", "sim bearers": "GPRS NB-IoT", "msisdn": number(n)}
        lines.append(rig.line(n, imei=rig.imei(n, tac), **more))
    rig.write(folder / "t.csv", lines)
    rig.write(folder / "log.csv", [rig.heard(terminal=one["terminal"]) for one in lines])
    cli_rig.out(data, "migrate", "import", folder / "t.csv", "--tacs", folder / "tacs.csv")
    cli_rig.out(data, "migrate", "survey", folder / "log.csv", "--area", rig.AREA)
    cli_rig.out(data, "migrate", "plan", PROGRAMME, "--area", rig.AREA)
    said = cli_rig.out_json(data, "migrate", "work", "ready", PROGRAMME, "--check", "whitelist")
    assert len(said["ready"]) == len(lines), said
    return data
