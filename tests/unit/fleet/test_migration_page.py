"""The pages of a migration: both languages show the same commands, each command exists, and what
can be tried without a field prints what the page says.
"""

import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cli_rig
import pytest
from click.testing import Result

from fleet.bridge import mapping
from fleet.cli.main import kapok

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("migration.md", "migration.zh.md")
TRIED = range(1, 7)  # sections: from the inventory to the rehearsal
NEEDS_MORE = ("legacy", "bridge", "flash", "provision", "config", "install", "command")
STEP = re.compile(r"^\$ kapok (.*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)


def steps(page: str, sections: range | None = None) -> list[tuple[list[str], list[str]]]:
    """Each command's words, and the lines that the page says it prints."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if sections is not None:
        parts = re.split(r"^## (\d+)\. .*$", text, flags=re.MULTILINE)[1:]
        text = "".join(
            part
            for number, part in zip(parts[::2], parts[1::2], strict=True)
            if int(number) in sections
        )
    return [(shlex.split(words), said.splitlines()) for words, said in STEP.findall(text)]


def plain(text: str) -> str:
    """A line of a table or a text, whatever its columns are wide."""
    return " ".join(re.sub("[━┏┓┳┡┩╇└┘┴─]", "", text).replace("┃", "│").split())


def undated(text: str) -> str:
    """A line without its large numbers: how long a rehearsal takes depends on the day."""
    return re.sub(r"\d{2,}", "#", plain(text))


def test_both_languages_show_the_same_commands() -> None:
    english, chinese = (
        [[word for word in words if word not in ("--lang", "zh")] for words, _ in steps(page)]
        for page in PAGES
    )
    assert english == chinese
    assert len(english) > 50


@pytest.mark.parametrize("page", PAGES)
def test_each_command_and_option_exists(page: str) -> None:
    for words, _ in steps(page):
        command: Any = kapok
        context = kapok.make_context("kapok", [], resilient_parsing=True)
        rest = list(words)
        while hasattr(command, "get_command") and rest:
            command = command.get_command(context, rest.pop(0))
            assert command is not None, words
        # With the values: what an option or an argument takes is looked at, too.
        for at, word in enumerate(rest):
            if word in ("bill.csv", "report.csv"):
                continue
            if word.endswith((".toml", ".csv", ".jsonl", ".jpg")):
                rest[at] = str(Path(__file__))  # whichever file there is
        command.make_context(command.name, rest, parent=context)


@pytest.fixture(scope="module")
def rehearsed() -> dict[tuple[str, ...], Result]:
    """What a rehearsal gave on the page before: it takes seconds, and both pages come to it by the
    same commands.
    """
    return {}


@pytest.mark.parametrize("page", PAGES)
def test_what_can_be_tried_prints_what_the_page_says(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rehearsed: dict[tuple[str, ...], Result],
) -> None:
    folder = tmp_path / "files"
    shutil.copytree(DOCS / "migration", folder)
    lately = (datetime.now(UTC) - timedelta(days=5)).strftime("%Y-%m-%d")  # measurements age
    for log in (folder / "logs.csv", folder / "survey.csv"):
        log.write_text(re.sub(r"2026-\d\d-\d\d", lately, log.read_text("utf-8")), "utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    tried = 0
    for words, expected in steps(page, TRIED):
        if words[0] in NEEDS_MORE:
            continue
        result = rehearsed.get(tuple(words)) or cli_rig.run(tmp_path / "data", *words)
        if "rehearse" in words:
            rehearsed[tuple(words)] = result
        assert result.exit_code == ("import" in words), result.stderr  # one line is refused
        seen = plain if "rehearse" not in words else undated
        printed = {seen(line) for line in result.stdout.splitlines()}
        for line in expected:
            assert seen(line) in printed, (words, line, result.stdout)
        tried += 1
    assert tried >= 15
    # One rule more moves one lamppost, and nothing else moves or loses its words.
    assert "0 added, 1 changed, 0 reworded, 17 as before, 0 removed, 0 under way" in (
        DOCS / page
    ).read_text(encoding="utf-8")


def test_the_mapping_of_the_old_system_is_one() -> None:
    made = mapping.read(DOCS / "migration" / "old-billing.toml")
    assert (made.name, made.kind) == ("old-billing", "folder")
    assert made.rules.columns == ("meter", "at", "flag", "volume")
