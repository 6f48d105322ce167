"""A rig of fake places for `pytester`: the plugin as it is, and places that fail as told."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RIG = """
targets:
  meter-1: &meter
    features: [power, stimulus]
    options: {board: esp32s3-bc660k, nodes: [gas-meter]}
  meter-2: *meter
  lamp-1:
    features: [power, current-meter]
    options: {board: esp32-ec200, nodes: [lamppost, gateway]}
"""

REQUIREMENTS = """
K-REG-01 = "A node registers"
K-PWR-01 = "A node sleeps"
K-LMP-01 = "A lamp <shines>"
"""

CONFTEST = '''
import pytest
from hil.faults import RigFault
from hil.pytest_plugin.held import Logs, hold
from hil.pytest_plugin.planning import place_of

class Place:
    """`faults` are raised by the next uses, one each."""
    def __init__(self, name):
        self.name, self.broken, self.faults, self.text = name, None, [], ""
        self.recovered = 0
    def mark(self):
        return len(self.text)
    def logs(self, mark):
        return Logs(self.text[mark:], f"AT+CEREG? of {self.name}", "u/x/report",
                    [(0, 9), (1_000_000, 90_000), (2_000_000, 9)])
    def recover(self):
        self.recovered += 1
        self.broken = None
    def use(self):
        self.text += f"console of {self.name}\\n"
        if self.faults:
            raise self.faults.pop(0)

PLACES = {}

@pytest.fixture
def node(request):
    name = place_of(request.node)
    place = PLACES.setdefault(name, Place(name))
    hold(request.node, place)
    return place
'''


def prepare(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tests: str) -> None:
    """A folder with the rig, its requirements and these tests; subprocesses find the plugin."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (pytester.path / "rig.yaml").write_text(RIG)
    (pytester.path / "requirements.toml").write_text(REQUIREMENTS)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(tests)


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """`pytest --rig rig.yaml`, in this process: labgrid's own plugin cannot be loaded twice."""
    return pytester.runpytest_inprocess(*PLUGIN, *RIG_OPTIONS, *arguments)


def run_workers(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """The same by two workers of xdist."""
    return pytester.runpytest_subprocess(
        *PLUGIN, *RIG_OPTIONS, "-n", "2", "--dist", "loadgroup", *arguments
    )


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    """What became of the tests, without warnings: that the plugin was imported before is one."""
    found = result.parseoutcomes()
    return {name: found[name] for name in found if name not in ("warning", "warnings")}


PLUGIN = (
    "-p", "no:labgrid", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "hil.pytest_plugin",
)  # fmt: skip
RIG_OPTIONS = ("--rig", "rig.yaml", "--requirements", "requirements.toml", "-rA")
