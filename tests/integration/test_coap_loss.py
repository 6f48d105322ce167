"""A small loss campaign of the CoAP door, and what it finds where numbers are saved after use."""

import asyncio
import os
import re
import sys

NUMBERS = re.compile(r"(\w+) (\d+)")


async def campaign(*words: str) -> tuple[int, dict[str, int]]:
    """Exit code, and the numbers of the last line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.coap_loss", *words,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    lines = out.decode().strip().splitlines() or [""]
    found = {name: int(number) for name, number in NUMBERS.findall(lines[-1])}
    assert "kills" in found, "\n".join(lines[-20:])
    return process.returncode or 0, found


async def test_nothing_is_lost_or_stored_twice_and_no_nonce_is_used_twice() -> None:
    code, found = await campaign(
        "--reports", "300", "--nodes", "60", "--kills", "2", "--cuts", "25", "--seed", "7"
    )
    assert found["reports"] >= 300
    assert (found["kills"], found["cuts"]) == (2, 25)
    assert (found["lost"], found["duplicated"], found["reused"]) == (0, 0, 0)
    assert found["nonces"] > 2 * 300
    assert code == 0


async def test_sabotage_numbers_saved_after_their_use_are_used_twice() -> None:
    code, found = await campaign(
        "--sabotage", "--reports", "100", "--nodes", "40", "--kills", "0", "--cuts", "40"
    )
    assert found["reused"] > 0
    assert code == 0
