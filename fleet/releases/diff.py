"""One delta, computed and proved: `python -m fleet.releases.diff BASE NEW PATCH`, a process of its
own, since it takes seconds of one core.
"""

import os
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from fleet.errors import Refusal
from fleet.paths import firmware_dir
from fleet.releases import proof
from fleet.updates.parts import deflated
from fleet.wire import release

PASSING = 75  # exit code, as EX_TEMPFAIL of sysexits.h: it may go well the next time
_NICE = 10  # reports go before patches


class DeltaError(Refusal):
    """There is no delta from these bytes to those; the text says why."""


def make(base: bytes, new: bytes) -> bytes:
    """The patch as it is sent (wire/release.py, DELTA); DeltaError where it does not pay, or does
    not prove itself by detools and by the firmware's own code.
    """
    patch = deflated(_sequential(base, new))
    if len(patch) >= len(deflated(new)):
        raise DeltaError(f"a patch of {len(patch)} bytes is no shorter than the whole image")
    prove(base, new, patch)
    return patch


def prove(base: bytes, new: bytes, patch: bytes) -> None:
    """DeltaError unless the patch makes the new image of the base, for all who apply it."""
    if _applied(base, patch) != new:
        raise DeltaError("detools makes something else by its own patch")
    proof.check(firmware_dir(), release.DELTA, base, new, patch)


def _detools() -> Any:  # it has no types
    try:
        import detools
    except ImportError:
        raise DeltaError("no detools here: pip install 'kapok[release]'") from None
    return detools


def _sequential(base: bytes, new: bytes) -> bytes:
    out = BytesIO()
    _detools().create_patch(
        BytesIO(base), BytesIO(new), out, compression="none", patch_type="sequential",
        use_mmap=False,
    )  # fmt: skip
    return out.getvalue()


def _applied(base: bytes, patch: bytes) -> bytes:
    out = BytesIO()
    detools = _detools()
    try:
        detools.apply_patch(BytesIO(base), BytesIO(zlib.decompress(patch)), out)
    except (detools.Error, zlib.error, ValueError) as e:
        raise DeltaError(f"detools refuses its own patch: {e}") from None
    return out.getvalue()


def main(arguments: list[str]) -> int:
    """Exit code 0 with the patch in its file; 1, or PASSING where memory or room was short, with
    the reason on standard error.
    """
    os.nice(_NICE)
    base, new, patch = map(Path, arguments)
    try:
        patch.write_bytes(make(base.read_bytes(), new.read_bytes()))
    except (OSError, MemoryError, proof.KilledError) as e:
        sys.stderr.write(f"{str(e) or type(e).__name__}\n")
        return PASSING
    except Refusal as e:
        sys.stderr.write(f"{e}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
