"""`kapok token`, and what `kapok provision` refuses before it touches a board."""

from pathlib import Path

import pytest
from cli_rig import AREA, initialised, out, out_json, refusal

ADD = ["token", "add", "--person", "Li Wei", "--area", AREA, "--node", "gas-meter"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with an area, and no bench."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KAPOK_BENCH", str(tmp_path / "bench"))
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    return folder


@pytest.mark.parametrize("words", [["token", "add"], ["token", "list"], ["token", "revoke"],
                                   ["token"], ["provision"]])  # fmt: skip
def test_help_has_an_example(tmp_path: Path, words: list[str]) -> None:
    assert "Example: kapok " in out(tmp_path, *words, "--help")


def test_a_token_is_shown_once_and_listed_without_it(data: Path) -> None:
    text = out(data, *ADD, "--count", 50, "--days", 7).strip()
    assert text.startswith("kpk1-")
    assert text[5:] not in out(data, "token", "list")
    (listed,) = out_json(data, "token", "list")
    assert (listed["person"], listed["boards"], listed["used"]) == ("Li Wei", 50, 0)
    assert listed["state"] == "good"
    assert text[5:] not in str(listed)


def test_one_command_ends_all_tokens_of_a_person(data: Path) -> None:
    for _ in range(3):
        out(data, *ADD)
    out(data, "token", "add", "--person", "Wang", *ADD[4:])
    assert out_json(data, "token", "revoke", "--person", "Li Wei") == {"revoked": 3}
    assert out(data, "token", "revoke", 4) == "1 token(s) revoked\n"
    assert {one["state"] for one in out_json(data, "token", "list")} == {"revoked"}


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        ([*ADD[:4], "--area", "99", "--node", "gas-meter"], "area '99' is unknown", 1),
        ([*ADD[:6], "--node", "toaster"], "no such node type: 'toaster'", 1),
        (["token", "add", "--person", " ", *ADD[4:]], "the person's name", 1),
        ([*ADD, "--count", 0], "0", 2),
        ([*ADD, "--days", 1000], "1 to 366 days", 1),
        (["token", "revoke"], "either a token's id or --person", 2),
        (["provision", "--ports", "virtual:1", "--node", "toaster"], "toaster", 1),
        (["provision", "--ports", "virtual:1", "--node", "gas-meter"], "no virtual bench", 1),
    ],
)
def test_refusals(data: Path, words: list[object], says: str, code: int) -> None:
    assert says in refusal(data, *words, code=code)
