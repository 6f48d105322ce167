"""The board of the power-cut campaign (cuts.py): bootloader, the firmware's own supervisor, and
an application around the firmware's own node/update.
"""
# ruff: noqa: I001, S102, UP031

import os
import sys

from cuts_chip import (
    AT, DEEPSLEEP, FACTS, HARD, MEM, PLAN, TIME, WORLD, Brick, Nvs, Restart, _vfs, link,
    machine, mounted, ota, unmount,
)  # fmt: skip
from node.store.journal import Journal
from node.update import job, pieces, pss, restore, runtime_part, slots, work
from node.wire import release, uplink

# What is loaded when it is needed must be here before the flash stands at `/`.
for name in ("app_part", "delta", "image", "keys_part", "manifest", "parts"):
    __import__("node.update." + name)
__import__("node.link.hkdf")
_verify, _verified = pss.verify, {}


def _verify_once(*inputs):
    """One release is verified in each life; its answer is the same."""
    if inputs not in _verified:
        _verified[inputs] = _verify(*inputs)
    return _verified[inputs]


pss.verify = _verify_once
RECORDS = 6  # in the journal before the scene
work.clock.now = lambda: TIME
REAL = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "node"}
for module in REAL.values():
    if hasattr(module, "forget"):
        module.forget = lambda name: None
FILES = {}
for name in FACTS["files"]:
    if name.startswith("rescue.img") and not name.endswith("." + PLAN["layout"]["name"]):
        continue  # a heap that is full of what nobody wants is slow
    with open(WORLD + "/" + name, "rb") as file:
        FILES[name] = file.read()


def hide():
    """The slot's own modules are to be imported from where they lie."""
    for name in list(sys.modules):
        if name == "node" or name.startswith("node."):
            del sys.modules[name]


# Runtimes, by what is in the partition.
def runtime_there(label):
    at = AT[label][0]
    for name in ("runtime1", "runtime2", "runtime3"):
        data = FILES[name]
        if MEM[at : at + len(data)] == data:
            return name
    return ""


class World:
    """One board, from a snapshot to the end of its scene."""

    def __init__(self, scene):
        self.scene = scene
        self.journaled = []  # what the journal has said to have kept
        self.ran = []  # the versions that ran, in order
        self.results = []
        self.cut = False  # since the last attempt began
        self.idle = 0  # lives in a row in which no version ran

    def copy(self):
        """Another one that goes on from here."""
        other = World(self.scene)
        other.journaled = list(self.journaled)
        other.ran = list(self.ran)
        other.results = list(self.results)
        other.cut = self.cut
        other.idle = self.idle
        return other

    # The chip

    def power(self, cause):
        """One life; the cause of the next one."""
        machine.cause = cause
        if cause != DEEPSLEEP:
            self.bootloader()
        if runtime_there(link.running) == "runtime3":
            return HARD  # it crashes at its start
        hide()
        unmount()
        sys.path[:] = ["", ".frozen"]
        before = len(self.ran)
        try:
            scope = {"__name__": "__main__"}
            if self.scene.hardened:
                exec(code(FILES["_boot.py"]), scope)
            else:
                mounted("vfs")
            os.chdir("/")
            scope = {"__name__": "__main__"}
            for name in ("boot.py", "main.py"):
                with open("/" + name, "rb") as file:
                    text = file.read()
                exec(code(text), scope)
            raise Brick("main.py came back to the prompt")
        except Restart as e:
            cause = e.cause
        finally:
            sys.path[:] = ["", ".frozen"]
        if len(self.ran) == before and cause == DEEPSLEEP:
            self.idle += 1
            if self.idle > 3:
                raise Brick("nothing starts")
        else:
            self.idle = 0
        return cause

    def bootloader(self):
        """With rollback: a runtime that was on trial and comes here again has failed."""
        device = link.flash.part(*AT["otadata"])
        found = ota._entries(device)
        for number, entry in enumerate(found):
            if entry and entry[1] == 1:
                entry[1] = 4
                ota._write(device, number, entry[0], 4)
        active = ota._active(found)
        if active is None:
            link.running = "ota_0"
        else:
            if found[active][1] == 0:
                ota._write(device, active, found[active][0], 1)
            link.running = "ota_%d" % ((found[active][0] - 1) % 2)
        if not runtime_there(link.running):
            link.running = "ota_1" if link.running == "ota_0" else "ota_0"
            if not runtime_there(link.running):
                raise Brick("no runtime boots")

    # The application, whichever version of it: called by the slot's main.

    def life(self, version):
        self.ran.append(version)
        whole(version)
        hide()
        sys.modules.update(REAL)
        if version == "rescue":
            self.rescue()
        else:
            self.application(version)

    def application(self, version):
        trial = slots.on_trial()
        state = {"clock_sure": 1}
        if trial:
            slots.contact()
        if self.scene.dies(version):
            raise RuntimeError("this version crashes")
        journal = Journal("/journal", 2048, 64, lambda: 7, 8)
        sequences = [body for _, body in journal.oldest(1 << 20, 1 << 20)]
        for body in self.journaled:
            if body not in sequences:
                raise Brick("the journal has lost a record")
        if len(self.journaled) < RECORDS + 30:
            body = uplink.encode_body(TIME + len(self.journaled), 0, [(1, len(self.journaled))])
            journal.append(body)
            if not link.flash.dead:
                self.journaled.append(body)
        if trial:
            slots.confirm()
        self.work(state)
        raise Restart(DEEPSLEEP)

    def rescue(self):
        if restore.lost():
            self.scene.mend()
            if not self.kept():
                self.journaled = []
            restore.restore()
        self.work({"clock_sure": 1})
        raise Restart(DEEPSLEEP)

    def kept(self):
        """Whether the file system mounts, whatever the boot has made of it."""
        try:
            _vfs.VfsLfs2(link.flash.part(*AT["vfs"]), progsize=32, readsize=32, lookahead=32)
        except OSError:
            return False
        return True

    def work(self, state):
        held = job.load()
        if held is None and not self.results:
            kept = []
            job.take(Nvs("kapok"), self.scene.payload, self.scene.number, FACTS["node"], kept)
            held = job.load()
        if held is None:
            return
        self.fetch(held)
        results = []
        again = work.go_on(Rtc(state), FACTS["config"], results, 60000)
        if results and not link.flash.dead:
            self.results = results
            work.told(results[0][0])
        if again and self.scene.breaks:
            raise MemoryError
        if again:
            raise Restart(HARD)

    def fetch(self, held):
        """What the door does: the blocks that are missing, of the envelope, then of all."""
        if held.stage not in (release.ACCEPTED, release.DOWNLOADING):
            return
        end = held.envelope if held.stage == release.ACCEPTED else held.assignment.size
        into = None
        if held.direct[1]:
            into = runtime_part.put(held.direct[0], held.direct[1], held.assignment.size)
        taker = pieces.Taker("/update/blocks", held.assignment.size, held.direct, into)
        size = 1024
        while True:
            first, bits = taker.missing(size, 0, end, 4)
            if not bits:
                break
            for i in range(4):
                if i // 8 < len(bits) and bits[i >> 3] & 128 >> (i & 7):
                    at = (first + i) * size
                    taker.take(size, first + i, self.scene.stream[at : at + size])
        taker.close()


class Rtc:
    def __init__(self, values):
        self._values = values
        self.get = values.get

    def set(self, key, value):
        self._values[key] = value


CODE = {}


def code(text):
    if text not in CODE:
        CODE[text] = compile(text.decode(), "firmware", "exec")
    return CODE[text]


def whole(version):
    """The mapped partition is this version's image, to the last byte."""
    name = {"old": "old.romfs", "new": "new.romfs", "rescue": "rescue.romfs"}.get(version)
    if version == "new" and PLAN["scene"] == "revert":
        name = "bad.romfs"
    data = FILES[name]
    at = AT["romfs"][0]
    if MEM[at : at + len(data)] != data:
        raise Brick("a mixed slot runs")
