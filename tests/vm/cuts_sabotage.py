"""Guards that the power-cut campaign (cuts.py) can take away, to see that it notices."""

from cuts_chip import put
from node.update import restore, slots


def _in_place(words):
    put("/slot", " ".join(words).encode())


def _replaced(files, name, old, new):
    text = files[name].decode()
    assert old in text, old
    files[name] = text.replace(old, new).encode()


def _unseen():
    # What still mounts is formatted all the same: the first look of two sees nothing.
    mounted, looks = restore._mounted, [0]

    def second(part):
        looks[0] += 1
        if looks[0] % 2:
            raise OSError(19)
        return mounted(part)

    restore._mounted = second


def sabotage(what, files):
    """Take one guard away; the campaign must notice."""
    if what == "pointer in place":
        slots._point = _in_place
    elif what == "digest unchecked":
        _replaced(files, "boot.py", "if hasher.digest() != digest:", "if False:")
    elif what == "head with its block":
        _replaced(files, "boot.py", "vfs.rom_ioctl(_WRITE, 0, _HEAD, part[_HEAD:n])", "pass")
        _replaced(
            files,
            "boot.py",
            "vfs.rom_ioctl(_WRITE, 0, 0, part[:_HEAD])",
            "vfs.rom_ioctl(_WRITE, 0, 0, part[:n])",
        )
    elif what == "supervisor first":
        restore._FILES = ("boot.py", "main.py", "trial.py")
    elif what == "nobody counts":
        _replaced(files, "trial.py", "_LIVES = const(3)", "_LIVES = const(1000)")
    elif what == "formatted unseen":
        _unseen()
    elif what == "marked unseen":
        _replaced(files, "trial.py", "note[2] < _LIVED and", "False and")
        _replaced(files, "trial.py", "esp32.Partition(running).set_boot()", "pass")
    elif what == "no look for boot.py":
        _replaced(files, "_boot.py", 'os.stat("/boot.py")', "pass")
    elif what == "runtime kept unconfirmed":
        slots.esp32.Partition.mark_app_valid_cancel_rollback = lambda *a: None
    elif what:
        raise ValueError(what)
