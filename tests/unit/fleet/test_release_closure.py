"""What a role's image has: all that its node may import, and nothing of another role."""

import ast
import functools

import pytest

from fleet import schema
from fleet.paths import firmware_dir
from fleet.releases import closure, slots, target
from fleet.releases.closure import Choice, UnknownRole
from fleet.releases.target import Target

# Who of the firmware imports by a name that is put together: closure.py knows this form alone.
COMPOSERS = {
    "node/link/bearers.py", "node/link/modem.py", "node/link/modems/__init__.py",
}  # fmt: skip
BOARDS = [
    ("gas-meter", "esp32s3-bc660k"), ("drainage", "esp32c3-bc95"), ("drainage", "esp32s3-manhole"),
    ("lamppost", "esp32-ec200"), ("gateway", "esp32-ec200"),
]  # fmt: skip


@functools.cache
def of(role: str, board: str) -> frozenset[str]:
    return frozenset(target.sources(firmware_dir(), Target(role, board)))


def reached(texts: dict[str, str], choice: Choice = Choice()) -> set[str]:  # noqa: B008
    return set(closure.modules(texts, (), choice, schema.ROLES))


@pytest.mark.parametrize(("role", "board"), BOARDS)
def test_an_image_has_its_role_its_modem_and_no_others(role: str, board: str) -> None:
    found = of(role, board)
    own = role.replace("-", "_")
    assert f"node/roles/{own}.py" in found
    assert f"node/schema/{own}.py" in found
    others = {"gas_meter", "drainage", "lamppost", "gateway"} - {own}
    if role == "lamppost":  # it is a gateway for what stands beside it
        others -= {"gateway"}
    assert not found & {f"node/roles/{other}.py" for other in others}
    (modem,) = target.families(Target(role, board))
    drivers = {path for path in found if path.startswith("node/link/modems/")}
    assert f"node/link/modems/{modem}.py" in drivers
    assert len(drivers) <= 3  # the package, the driver, and what drivers of its maker share


@pytest.mark.parametrize(("role", "board"), BOARDS)
def test_nothing_that_is_there_imports_what_is_not(role: str, board: str) -> None:
    sources = slots.read_sources(firmware_dir())
    found = of(role, board)
    choosers = {*closure.ROLES, closure.MODEMS}
    for path in found - choosers:
        wanted = {*closure.imports(ast.parse(sources[path]), path, sources)}
        assert wanted <= found, path


def test_technicians_scripts_find_what_they_import() -> None:
    texts = slots.outsiders(firmware_dir())
    sources = slots.read_sources(firmware_dir())
    wanted = {path for text in texts for path in closure.imports(ast.parse(text), "", sources)}
    assert wanted
    for role, board in BOARDS:
        assert wanted <= of(role, board)


def test_whoever_imports_by_a_text_is_known() -> None:
    """A form that closure.py does not understand would leave modules out of images."""
    found = set()
    for path, text in slots.read_sources(firmware_dir()).items():
        for node in ast.walk(ast.parse(text)):
            name = getattr(node, "id", getattr(node, "attr", ""))
            if name in ("__import__", "importlib", "import_module", "exec", "eval"):
                found.add(path)
    assert found <= COMPOSERS


def test_imports_within_functions_relative_and_by_a_text_count() -> None:
    texts = {
        "node/__init__.py": "",
        "node/main.py": "def f():\n    from node.a import b\n",
        "node/a/__init__.py": "",
        "node/a/b.py": "from . import c\nfrom ..d import thing\n",
        "node/a/c.py": '_W = "one:node.e.f two:node.e.g"\ndef h(n): __import__(_W[n])\n',
        "node/d.py": "import node.h",
        "node/e/f.py": "",
        "node/e/g.py": "",
        "node/e/other.py": "",
        "node/h.py": "",
        "node/lost.py": "",
    }
    assert set(texts) - reached(texts) == {"node/e/other.py", "node/lost.py"}


def test_without_a_choice_all_of_it_is_there() -> None:
    everything = set(target.sources(firmware_dir(), Target()))
    for role, board in BOARDS:
        assert of(role, board) < everything


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Target("kettle"), "no role 'kettle'"),
        (Target("gateway", "toaster"), "hw/boards has no 'toaster'"),
        (Target("gateway", "../../etc"), "hw/boards has no"),
    ],
)
def test_what_there_is_not_is_refused(wanted: Target, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        target.sources(firmware_dir(), wanted)


def test_a_family_that_the_firmware_lacks_is_refused() -> None:
    with pytest.raises(UnknownRole, match="no modem family"):
        reached({"node/main.py": ""}, Choice(families=("telegraph",)))
