"""The facts as a page for people: docs/hil-fidelity.md between its marks."""

from collections.abc import Iterator
from pathlib import Path

from hil.fidelity import facts
from hil.fidelity.facts import Fact

BEGIN, END = "<!-- facts: python -m hil.fidelity --write -->", "<!-- end of the facts -->"


class PageError(ValueError):
    """The page has not the marks between which the facts stand; one line."""


def lines() -> Iterator[str]:
    """Markdown: what differs first, then every fact by script."""
    rows = {script: facts.listed(script) for script in facts.scripts()}
    known = [row for each in rows.values() for row in each]
    apart = [row for row in known if row.differs]
    yield f"{len(known)} facts, of which {len(apart)} are told otherwise by the virtual board."
    yield ""
    yield "### What the virtual board tells otherwise"
    yield ""
    yield "| fact | a chip | virtual board | because |"
    yield "|---|---|---|---|"
    for row in apart:
        told = "its own words" if row.virtual == "*" else _code(row.virtual or "")
        yield f"| {_name(row)} {row.says} | {_code(row.expect)} | {told} | {row.because} |"
    for script, each in rows.items():
        yield ""
        yield f"### {script}"
        yield ""
        yield "| fact | | a chip tells | source |"
        yield "|---|---|---|---|"
        for row in each:
            mark = " ≠" if row.differs else ""
            yield f"| {_name(row)}{mark} | {row.says} | {_code(row.expect)} | {_source(row)} |"


def page(text: str) -> str:
    """The page with its facts as they are now; PageError without the marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"the page lacks {END if begin else BEGIN}: put it back")
    return f"{before}{BEGIN}\n\n" + "\n".join(lines()) + f"\n\n{END}{after}"


def write(path: Path) -> None:
    """Put the facts into the page at `path`."""
    path.write_text(page(path.read_text()))


def _name(row: Fact) -> str:
    return f"`{row.id}`" + (f" ({', '.join(row.only)})" if row.only else "")


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _source(row: Fact) -> str:
    tree, _, path = row.source.partition(":")
    name, _, at = path.partition("#L")
    short = name.rsplit("/", 1)[-1] + (f":{at}" if at else "")
    return f"[{'' if tree == 'mp' else tree + ' '}{short}]({row.link})"
