"""Supervisor: watchdog first, then the chosen slot is mounted; main.py runs what it holds.

Two files, since a soft reset out of the raw REPL runs this one only: a technician's tool then has
the prompt to itself, with the slot on the path. What happens on trial, and when a slot does not
start, is in trial.py. None of them is updated over the air.
"""

import machine

# The longest time that anything may keep the node awake. The application, which knows its role,
# constructs the watchdog again with a shorter one.
wdt = machine.WDT(timeout=600_000)

import hashlib  # noqa: E402  nothing may come before the watchdog
import sys  # noqa: E402

import esp32  # noqa: E402
import vfs  # noqa: E402
from micropython import const  # noqa: E402

_CRASH_SLEEP_MS = const(60_000)  # as in main.py
_HEAD = const(64)  # bytes of an image that hold its digest
_BLOCK = const(4096)
_SEGMENT = const(2)  # operations of vfs.rom_ioctl
_ERASE = const(3)
_WRITE = const(4)
_DONE = const(5)

words = ["", "-", "good"]  # the pointer with which this life began


def choose():
    """[slot to run, the one before or "-", "good", "trial", "runtime" or "bad"]: the pointer.

    A slot is complete: nothing outside it and the runtime is on the path.
    """
    try:
        with open("/slot") as file:
            words = file.read().split()
    except OSError as e:
        if e.errno != 2:  # ENOENT
            raise  # which slot was verified is not known: the rescue application, for this boot
        return ["a", "-", "good"]  # never updated
    if len(words) != 3 or words[0] not in ("a", "b"):
        raise OSError("/slot is damaged")
    return words


def install(image, rom) -> None:
    """Copy the slot's image into the mapped partition, its head last: cut short, it has none.

    OSError when it does not fit, or its digest, a file in the head, is not that of the rest:
    then what was there before is there still.
    """
    size = image.seek(0, 2)
    if size > len(rom):
        raise OSError("the slot's image has %d bytes, its partition %d" % (size, len(rom)))
    part = memoryview(bytearray(_BLOCK))
    image.seek(0)
    n = image.readinto(part)
    digest = bytes(part).find(b"digest") + 8  # behind the name, its record's kind and length
    hasher = hashlib.sha256(part[:digest])
    hasher.update(part[digest + 32 : n])
    digest = bytes(part[digest : digest + 32])
    while n == _BLOCK:
        n = image.readinto(part)
        hasher.update(part[:n])
    if hasher.digest() != digest:
        raise OSError("the slot's image is damaged")
    vfs.rom_ioctl(_ERASE, 0, size)
    for at in tuple(range(_BLOCK, size, _BLOCK)) + (0,):
        image.seek(at)
        n = (image.readinto(part) + 15) & ~15
        if at:
            vfs.rom_ioctl(_WRITE, 0, at, part[:n])
    # By the head two images are told apart: it is there when all else is.
    vfs.rom_ioctl(_WRITE, 0, _HEAD, part[_HEAD:n])
    vfs.rom_ioctl(_WRITE, 0, 0, part[:_HEAD])
    vfs.rom_ioctl(_DONE, 0)


def mount(slot: str) -> str:
    """Where the slot's files are: its bytecode executes in place and takes no heap."""
    rom = vfs.rom_ioctl(_SEGMENT, 0)
    if isinstance(rom, int):
        raise OSError("no romfs partition: flash a partition table that has one")
    with open("/" + slot + ".romfs", "rb") as image:
        if rom[:_HEAD] != image.read(_HEAD):
            install(image, rom)
    try:
        vfs.umount("/rom")  # the runtime mounts what it finds there, maybe the slot before
    except OSError:
        pass
    files = vfs.VfsRom(rom)  # pyright: ignore[reportAttributeAccessIssue]  the stubs lack it
    vfs.mount(files, "/rom")
    return "/rom"


def rescue(why: Exception) -> None:
    """Put the rescue application on the path: it links up and takes items, no more."""
    sys.stdout.write("kapok: the slot does not start, so the rescue application does\n")
    sys.print_exception(why)
    try:
        part = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="rescue")[0]
        vfs.mount(vfs.VfsLfs2(part), "/rescue", readonly=True)
    except (OSError, IndexError):
        raise OSError("and there is no rescue application: flash the node")
    sys.path[:] = [mount("rescue/rescue"), ".frozen"]


def tried(name: str, *more):
    """What trial.py says to `name`. It is in the heap for that moment only."""
    path = sys.path[:]
    sys.path[:] = ["", ".frozen"]
    try:
        import trial

        return getattr(trial, name)(*more)
    finally:
        sys.path[:] = path
        sys.modules.pop("trial", None)


def start():
    """Put the slot of the pointer on the path, or the one before; the pointer then."""
    words = choose()
    if words[2] != "good":
        words = tried("start", words)
    elif machine.reset_cause() != machine.DEEPSLEEP_RESET:
        try:  # the runtime may stay: else the bootloader takes it for one on trial that has failed
            esp32.Partition.mark_app_valid_cancel_rollback()
        except OSError:
            pass  # a bootloader that never goes back
    while True:
        try:
            sys.path[:] = [mount(words[0]), ".frozen"]
            return words
        except Exception as e:  # it is missing or damaged
            if words[2] == "good":
                raise
            sys.print_exception(e)
            words = tried("failed", words)


def run() -> None:
    """Put a slot on the path, or else the rescue application; with neither the node sleeps."""
    try:
        try:
            words[:] = start()
        except Exception as e:
            rescue(e)
    except Exception as e:  # whatever is wrong with the slot, the supervisor must outlive it
        sys.print_exception(e)
        machine.deepsleep(_CRASH_SLEEP_MS)
    # What is done with leaves the heap. The rest main.py may need: a slot may fail to import.
    for name in ("choose", "start", "run"):
        del globals()[name]


run()
