"""`python -m hil.fidelity`: what a script of facts looks like for a board, or the page of them."""

import argparse
import sys
from pathlib import Path

from hil.fidelity import facts, table

_PAGE = Path(__file__).parents[2] / "docs" / "hil-fidelity.md"


def main() -> int:
    """Print a script, judge what a board printed, or write the page; 1 when a fact is missed."""
    parser = argparse.ArgumentParser(prog="python -m hil.fidelity", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="names of the scripts")
    what.add_argument("--script", metavar="NAME", help="print it, to be run on a board")
    what.add_argument("--judge", metavar="NAME", help="what the board printed, on standard input")
    what.add_argument("--write", action="store_true", help=f"put the facts into {_PAGE.name}")
    parser.add_argument("--chip", default="esp32s3", help="the board's: esp32, esp32s3, esp32c3")
    chosen = parser.parse_args()
    wanted = chosen.script or chosen.judge
    if wanted and wanted not in facts.scripts():
        parser.error(f"no script {wanted!r}: one of {', '.join(facts.scripts())}")
    if chosen.write:
        table.write(_PAGE)
    elif chosen.list:
        sys.stdout.write("\n".join(facts.scripts()) + "\n")
    elif chosen.script:
        sys.stdout.write(facts.text(chosen.script))
    else:
        said = facts.told(line.rstrip("\r\n") for line in sys.stdin)
        apart = facts.differences(chosen.judge, chosen.chip, said, of="chip")
        for each in apart:
            sys.stdout.write(f"{each}\n")
        return 1 if apart else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
