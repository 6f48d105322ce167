"""Every file in docs/bridge.md is one that the program takes."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from fleet.bridge import mapping, opening
from fleet.bridge.north import forwarder, targets

PAGE = Path(__file__).parents[3] / "docs" / "bridge.md"
FILES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", FILES, ids=lambda text: str(text.split('"')[1]))
def test_a_file_of_the_page_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "scada.url").write_text("sqlite:////srv/scada.db\n")
    for name in ("vendor.token", "mqtt.pass", "city.secret"):
        (tmp_path / name).write_text("0123456789abcdef\n")
    (tmp_path / "bureau.pw").write_text("123456\n")
    path = tmp_path / "one.toml"
    path.write_text(text, encoding="utf-8")
    if "[map]" in text:
        opening.source(mapping.read(path)).close()
    else:
        made, _ = forwarder.connect(targets.read(path))
        with closing(made):
            pass


def test_the_page_has_all_kinds() -> None:
    kinds = {kind for text in FILES for kind in re.findall(r'^kind = "(\w+)"', text, re.MULTILINE)}
    assert kinds == {*mapping.KINDS, *targets.KINDS}
