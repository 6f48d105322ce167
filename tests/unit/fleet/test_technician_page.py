"""The technician's pages: both languages show the same commands, and each command exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.main import kapok

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("technician.md", "technician.zh.md")


def commands(page: str) -> list[list[str]]:
    """The words of each `$ kapok ...` line, without what the shell does around it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = re.findall(r"^\$ (?:export \w+=\$\()?kapok (.*?)\)?$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_both_languages_show_the_same_commands() -> None:
    plain = [
        [[word for word in words if word not in ("--lang", "zh")] for words in commands(page)]
        for page in PAGES
    ]
    assert plain[0] == plain[1]
    assert len(plain[0]) > 12


@pytest.mark.parametrize("page", PAGES)
def test_each_command_and_option_exists(page: str) -> None:
    for words in commands(page):
        command: Any = kapok
        context = kapok.make_context("kapok", [], resilient_parsing=True)
        rest = list(words)
        while hasattr(command, "get_command") and rest:
            command = command.get_command(context, rest.pop(0))
            assert command is not None, words
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words
