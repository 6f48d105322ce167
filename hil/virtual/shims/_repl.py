"""The prompt: friendly and raw REPL with raw paste, as MicroPython's shared/runtime/pyexec.c.

Loaded when a boot comes to its prompt, so that a wake of the firmware does not pay for it.
"""

import gc
import io
import struct
import sys

import _link
import _ops
import _stdio
import machine
from micropython import const

_A = const(1)
_B = const(2)
_C = const(3)
_D = const(4)
_E = const(5)
_WINDOW = const(128)  # bytes of raw paste between two grants
_OURS = ("machine", "esp32", "network", "socket", "select", "time", "run", "flashdev", "vfs")
_OPEN, _CLOSE = "([{", ")]}"
_BLOCKS = ("if", "while", "for", "try", "with", "def", "class", "async")

_scope = None  # the program's globals
put = _stdio.put
char = _stdio.char


def _banner():
    text = (
        "MicroPython v%d.%d.%d; Kapok's virtual board with ESP32\r\n" % sys.implementation[1][:3]
    )
    put(text.encode() + b'Type "help()" for more information.\r\n')


def _leave():
    raise SystemExit


def _soft_reset():
    _scope.clear()
    gc.collect()  # the chip sweeps its heap, by which files left open are closed
    machine._restart(machine.SOFT_RESET)


def _traceback(e):
    text = io.StringIO()
    sys.print_exception(e, text)
    for line in text.getvalue().rstrip("\n").split("\n"):
        if not _is_ours(line):
            print(line)


def _is_ours(line):
    # What a chip has in C leaves no frame.
    if not line.startswith('  File "'):
        return False
    name = line[8:].split('"')[0]
    return name[0] == "_" or name in _OURS


def _execute(source, mode, scope, eof):
    """Compile and run. `eof` frames the output and the traceback, as programs expect them."""
    wrong, leave = None, False
    try:
        code = compile(str(source, "utf-8"), "<stdin>", mode)
        source = None
        _stdio.kbd_intr(_C)
        exec(code, scope)
    except SystemExit:
        leave = True
    except BaseException as e:
        wrong = e
    _stdio.kbd_intr(-1)
    _link.heeds = 0
    machine._counters()
    put(eof)
    if wrong:
        _traceback(wrong)
    put(eof)
    if leave:
        _soft_reset()


def _paste(scope):
    """Raw paste: the source comes in windows, each granted by a byte."""
    put(b"R\x01" + struct.pack("<HB", _WINDOW, 1))
    source = bytearray()
    left = _WINDOW
    while True:
        c = char()
        if c in (_C, _D):
            break
        source.append(c)
        left -= 1
        if not left:
            put(b"\x01")
            left = _WINDOW
    put(b"\x04")
    if c == _C:
        put(b"\x04")
        print("Traceback (most recent call last):\nKeyboardInterrupt: ")
        put(b"\x04")
    else:
        _execute(source, "exec", scope, b"\x04")


def _raw(scope):
    """Until Ctrl-B."""
    put(b"raw REPL; CTRL-B to exit\r\n>")
    line = bytearray()
    while True:
        c = char()
        if c == _A:
            if len(line) == 2 and line[0] == _E:
                paste = line[1] == 65
                line = bytearray()
                if paste:
                    _paste(scope)
                else:
                    put(b"R\x00")
                put(b">")
                continue
            line = bytearray()
            put(b"raw REPL; CTRL-B to exit\r\n>")
        elif c == _B:
            put(b"\r\n")
            return
        elif c == _C:
            line = bytearray()
        elif c == _D:
            put(b"OK")
            if not line:
                put(b"\r\n")
                _soft_reset()
            source, line = line, bytearray()
            _execute(source, "exec", scope, b"\x04")
            put(b">")
        else:
            line.append(c)


def _goes_on(text):
    """Whether the friendly prompt waits for more lines of this input."""
    depth, quote, i = 0, "", 0
    while i < len(text):
        three, c = text[i : i + 3], text[i]
        if quote:
            if c == "\\":
                i += 1
            elif text.startswith(quote, i) if len(quote) == 3 else c in (quote, "\n"):
                i += len(quote) - 1
                quote = ""
        elif three in ('"""', "'''"):
            quote = three
            i += 2
        elif c in "\"'":
            quote = c
        elif c == "#":
            end = text.find("\n", i)
            i = len(text) if end < 0 else end
        elif c in _OPEN:
            depth += 1
        elif c in _CLOSE:
            depth -= 1
        i += 1
    if len(quote) == 3 or depth > 0 or text.endswith("\\"):
        return True
    first = text.lstrip().split(" ")[0].split(":")[0].split("(")[0]
    block = first in _BLOCKS or text.startswith("@")
    return block and (text.endswith(":") or "\n" in text or text[0] == "@") and text[-1:] != "\n"


def _line(prompt):
    """One line of the friendly prompt, and the control byte that ended it, or 13."""
    put(prompt)
    line = bytearray()
    escape = 0
    while True:
        c = char()
        if escape:
            escape = 0 if c == 126 or (c >= 64 and c != 91) else 1
        elif c == 27:
            escape = 1
        elif c == 13:
            put(b"\r\n")
            return line, c
        elif c == _C or (c in (_A, _B, _D, _E) and not line):
            return line, c
        elif c in (8, 127):
            if line:
                line = line[:-1]
                put(b"\x08 \x08")
        elif c >= 32 or c == 9:
            line.append(c)
            put(bytes((c,)))


def _paste_friendly(scope):
    put(b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
    source = bytearray()
    while True:
        c = char()
        if c == _C:
            put(b"\r\n")
            return
        if c == _D:
            put(b"\r\n")
            _execute(source, "exec", scope, b"")
            return
        source.append(10 if c == 13 else c)
        put(b"\r\n=== " if c == 13 else bytes((c,)))


def _friendly(scope):
    """Until Ctrl-A."""
    _banner()
    text = ""
    while True:
        line, end = _line(b"... " if text else b">>> ")
        if end == _C:
            put(b"\r\n")
            text = ""
        elif end == 13:
            try:
                text += str(line, "utf-8")
            except UnicodeError:
                text = ""
                continue
            if not text.strip():
                text = ""
            elif _goes_on(text):
                text += "\n"
            else:
                source, text = text.encode(), ""
                _execute(source, "single", scope, b"")
        elif text:
            pass
        elif end == _A:
            put(b"\r\n")
            return
        elif end == _B:
            put(b"\r\n")
            _banner()
        elif end == _D:
            put(b"\r\n")
            _soft_reset()
        else:
            _paste_friendly(scope)


def run(scope):
    """The prompt, for as long as this boot lasts."""
    global _scope  # noqa: PLW0603
    _scope = scope
    _link.call(_ops.PROMPT)
    _stdio.kbd_intr(-1)
    _stdio.install()
    machine.soft_reset = _leave
    while True:
        if not _link.raw:
            _friendly(scope)
            _link.raw = 1
        _raw(scope)
        _link.raw = 0
