"""The unmodified mpremote, a process of its own each time, drives a virtual board on a PTY."""

import asyncio
import signal
from pathlib import Path

import pytest
from prompt_rig import Prompt, prompt

from fleet.flashing import partitions

BOOT = "import machine\nprint('boot ran', machine.reset_cause())\n"
MAIN = {"/main.py": b"print('main ran')\n"}


async def test_exec_eval_run_and_their_exit_codes(tmp_path: Path) -> None:
    async with prompt(tmp_path, BOOT, MAIN) as p:
        await p.until(b">>> ")
        assert p.sent.index(b"POWERON") < p.sent.index(b"boot ran 1\r\nmain ran\r\n")
        assert await p.mpremote("eval", "6 * 7") == "42\n"
        script = tmp_path / "script.py"
        script.write_text(
            "import machine\nprint(machine.unique_id().hex())\n"
            "machine.RTC().datetime((2026, 5, 4, 0, 3, 2, 1, 0))\n"
            "print(machine.RTC().datetime()[:3])\n" + "# long " * 400 + "\nundefined\n"
        )
        text = await p.mpremote("run", str(script), code=1)
        assert text == (
            "3c71bf0a0b0c\n(2026, 5, 4)\nTraceback (most recent call last):\n"
            '  File "<stdin>", line 6, in <module>\n'
            "NameError: name 'undefined' isn't defined\n"
        )
        assert (await p.mpremote("exec", "for", code=1)).endswith("SyntaxError: invalid syntax\n")
        assert await p.mpremote("exec", "import sys; sys.exit()") == ""
        # Each command began with a soft reset: boot.py ran, main.py did not, or it would hang.
        assert p.board.resets["soft"] >= 5
        assert p.sent.count(b"main ran") == 1


async def test_files_go_to_the_littlefs_in_flash_and_back(tmp_path: Path) -> None:
    async with prompt(tmp_path) as p:
        data = bytes(range(256)) * 30
        (tmp_path / "out.bin").write_bytes(data)
        before = p.board.life.programs
        await p.mpremote("fs", "cp", "out.bin", ":/there.bin")
        assert "7680 there.bin" in await p.mpremote("fs", "ls", ":/")
        await p.mpremote("fs", "cp", ":/there.bin", "back.bin")
        assert (tmp_path / "back.bin").read_bytes() == data
        await p.mpremote("exec", "with open('/t.txt', 'w') as f: f.write('one\\ntwo\\n')")
        assert await p.mpremote("fs", "cat", ":/t.txt") == "one\ntwo\n"
        assert str(partitions.find(p.board.table, "vfs").size) in await p.mpremote("df")
        await p.mpremote("fs", "rm", ":/there.bin")
        assert "there.bin" not in await p.mpremote("fs", "ls", ":/")
        await p.mpremote("reset")
        await p.until(b"rst:0xc")
        assert p.board.life.programs > before  # counted, so that a cut can be set to one of them


async def test_a_mounted_folder_serves_modules_and_bytes_that_look_like_ctrl_c(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "helper.py").write_text("answer = 42\n")
    (folder / "data").write_bytes(b"\x03" * 3000 + bytes(range(256)))
    program = "import helper; d = open('data', 'rb').read(); print(helper.answer, len(d), sum(d))"
    async with prompt(tmp_path) as p:
        text = await p.mpremote("mount", str(folder), "exec", program)
        assert text.splitlines()[-1] == "42 3256 41640"
        assert p.board.life.crashes == 0


@pytest.mark.parametrize("loop", ["while True: pass", "import time\nwhile True: time.sleep_ms(9)"])
async def test_ctrl_c_ends_a_program_that_never_ends(tmp_path: Path, loop: str) -> None:
    async with prompt(tmp_path) as p:
        process = await p.start_mpremote("exec", f"print('go')\n{loop}")
        assert (await process.stdout.readline()).strip() == b"go"
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert await p.mpremote("exec", "print('again')") == "again\n"
        assert b"KeyboardInterrupt" in p.sent
        assert p.board.life.crashes == 0


async def test_soft_reset_and_reset_are_what_they_say(tmp_path: Path) -> None:
    async with prompt(tmp_path, BOOT, MAIN) as p:
        await p.until(b">>> ")
        await p.mpremote("exec", "x = 5")
        await p.mpremote("soft-reset")
        assert await p.mpremote("resume", "exec", "print('x' in globals())") == "False\n"
        p.sent.clear()
        await p.mpremote("reset")
        await p.until(b"boot ran 2\r\nmain ran\r\n")  # machine.HARD_RESET: both files
        await p.until(b">>> ")


async def typed(p: Prompt, data: bytes, answer: bytes) -> None:
    p.type_in(data)
    await p.until(answer)


async def test_the_friendly_prompt_for_people(tmp_path: Path) -> None:
    async with prompt(tmp_path, BOOT, MAIN) as p:
        await p.until(b">>> ")
        await typed(p, b"1 + 1\r", b"1 + 1\r\n2\r\n>>> ")
        await typed(p, b"for i in range(2):\r  print(i)\r\r", b"\r\n0\r\n1\r\n>>> ")
        await typed(p, b"print('''a\rb''')\r", b"a\r\nb\r\n>>> ")
        await typed(p, b"abx\x7f\x7f\x7f3\r", b"3\r\n>>> ")
        await typed(p, b"import time; time.sleep(60)\r", b"sleep(60)\r\n")
        await asyncio.sleep(0.05)
        await typed(p, b"\x03", b"KeyboardInterrupt")
        await typed(p, b"\x05a = 4\rprint(a * 2)\r\x04", b"8\r\n>>> ")
        await typed(p, b"\x04", b"MPY: soft reboot\r\nboot ran 5\r\nmain ran\r\n")
        await p.until(b">>> ")
        await typed(p, b"\x01", b"raw REPL; CTRL-B to exit\r\n>")
        await typed(p, b"print(7)\x04", b"OK7\r\n\x04\x04>")
        await typed(p, b"\x04", b"OK\r\nMPY: soft reboot\r\nboot ran 5\r\nraw REPL; CTRL-B")
        await typed(p, b"\x02", b">>> ")


async def test_at_the_prompt_time_is_real_and_the_watchdog_counts_it(tmp_path: Path) -> None:
    boot = "import machine\nif machine.reset_cause() == 1: machine.WDT(timeout=1000)\n"
    async with prompt(tmp_path, boot) as p:
        await p.until(b">>> ")
        loop = asyncio.get_running_loop()
        began, virtual = loop.time(), p.board.now_us
        await typed(p, b"while True: pass\r\r", b"ROM:")
        assert p.board.resets["watchdog"] == 1
        assert loop.time() - began > 0.8
        assert p.board.now_us - virtual < 30_000_000


async def test_stdin_can_be_polled_and_read_by_a_program(tmp_path: Path) -> None:
    program = (
        "import select, sys\np = select.poll(); p.register(sys.stdin, select.POLLIN)\n"
        "print(p.poll(10), 'asks'); p.poll(); print(sys.stdin.readline(), 'heard')\n"
    )
    async with prompt(tmp_path) as p:
        await p.until(b">>> ")
        await typed(p, b"\x01", b">")
        await typed(p, program.encode() + b"\x04", b"[] asks\r\n")
        await typed(p, b"hello\r", b"hello\r\n heard\r\n\x04\x04>")


async def test_the_board_hears_nothing_while_it_is_halted(tmp_path: Path) -> None:
    async with prompt(tmp_path, BOOT) as p:
        await p.until(b">>> ")
        p.board.halt()
        assert p.board.state == "loader"
        p.type_in(b"print(1)\r")
        await asyncio.sleep(0.1)
        assert not p.sent
        p.board.release()
        await p.until(b"boot ran 1\r\n")
        await p.until(b">>> ")
        p.sent.clear()
        p.board.reset()
        await p.until(b"boot ran 1\r\n")
