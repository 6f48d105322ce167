"""Cuts the power at flash operations of an update's life, on the real VfsLfs2: the firmware's own
_boot.py, boot.py, main.py, trial.py and node/update, and the virtual chip's esp32.Partition.

Run by tests/cpython/cuts_rig.py with the address and size of what plays the flash, the repository,
a folder with the world's files, and what is to be done as JSON: scene, layout, cuts (lists of
[operation, mode]), sabotage. The last line that it prints is JSON.
"""
# ruff: noqa: I001, UP031

import json
import os
import random
import sys

import vfs
from cuts_chip import (
    AREAS, AT, BLOCK, MEM, PLAN, PWRON, SIZE, TIME, Brick, Nvs, PowerCut, blank, fresh, link,
    mounted, put, region,
)  # fmt: skip
from cuts_sabotage import sabotage
from cuts_world import FILES, RECORDS, World, runtime_there
from flashdev import MODES
from node.store.journal import Journal
from node.wire import uplink

BOOTS_MOST = 40


class Begin:
    """A board between two lives: all that it is by then is flash, NVS and what the world noted."""

    def __init__(self, area, world, cause):
        self.operations = link.flash.operations
        self._area = area
        self._world = world.copy()
        self._cause = cause
        self._running = link.running
        self._nvs = dict(Nvs.kept)
        memoryview(area)[:SIZE] = memoryview(MEM)[:SIZE]

    def again(self):
        """(world, cause of its next life)"""
        memoryview(MEM)[:SIZE] = memoryview(self._area)[:SIZE]
        Nvs.kept = dict(self._nvs)
        link.running = self._running
        link.flash.programs = self.operations
        return self._world.copy(), self._cause


class Scene:
    """How it begins, and how it has to end."""

    hardened = True
    breaks = False  # an exception comes where the update wants a reset
    ends_on = "new"
    result = (0,)
    number = 7

    def __init__(self, name):
        self.stream = FILES[name + ".stream"]
        self.payload = FILES[name + ".payload"]
        self.begins = []

    def keep(self, world, cause):
        """Note the board as it is before a life, while there is room."""
        if len(self.begins) < len(AREAS):
            self.begins.append(Begin(AREAS[len(self.begins)], world, cause))

    def dies(self, version):
        return False

    def lay(self):
        """Lay the flash and NVS out; the power is off."""
        for label in AT:
            blank(label)
        region("ota_0", FILES["runtime1"])
        region("rescue", FILES.pop("rescue.img." + PLAN["layout"]["name"]))
        device = link.flash.part(*AT["vfs"])
        vfs.VfsLfs2.mkfs(device, progsize=32, readsize=32, lookahead=32)
        Nvs.kept = {"hmac": FILES["hmac"], "trust": FILES["trust"], "seq": 1}
        mounted("vfs")
        for name in ("boot.py", "main.py", "trial.py"):
            put("/" + name, FILES[name])
        put("/a.romfs", FILES["old.romfs"])
        journal = Journal("/journal", 2048, 64, lambda: 7, 8)
        self.records = []
        for n in range(RECORDS):
            body = uplink.encode_body(TIME - 100 + n, 0, [(1, n)])
            journal.append(body)
            self.records.append(body)
        self.further()
        vfs.umount("/")
        self.after()

    def further(self):
        """More, while the file system stands at `/`."""

    def after(self):
        """More, when it is unmounted."""

    def mend(self):
        """When the rescue application looks at the file system."""

    def over(self, world):
        """Whether it has ended as it must; Brick where it has ended otherwise."""
        if not world.results or not world.ran or world.ran[-1] != self.ends_on:
            return False
        number, result, detail = world.results[0]
        if number != self.number or (result, detail)[: len(self.result)] != self.result:
            raise Brick("it ended with %d, %d" % (result, detail))
        return True


class Install(Scene):
    pass


class Confirm(Scene):
    """From the reset on by which the new version is on trial."""

    def after(self):
        prepare(self, lambda world: "trial" in pointer_now())


class Revert(Scene):
    """The new version crashes in every life."""

    ends_on = "old"
    result = (55, 1)

    def dies(self, version):
        return version == "new"

    def after(self):
        prepare(self, lambda world: "trial" in pointer_now())


class Unimportable(Scene):
    ends_on = "old"
    result = (55, 2)


class Lost(Scene):
    """The superblocks of the file system are gone."""

    def after(self):
        at = AT["vfs"][0]
        for n in (0, 1):
            MEM[at + n * BLOCK : at + n * BLOCK + BLOCK] = b"\x55" * BLOCK
        self.records = []


class Misread(Lost):
    """As if they were: by the time the rescue application looks they are there again."""

    def after(self):
        at = AT["vfs"][0]
        self.whole = bytes(MEM[at : at + 2 * BLOCK])
        records = self.records
        Lost.after(self)
        self.records = records

    def mend(self):
        at = AT["vfs"][0]
        if MEM[at : at + 16] == b"\x55" * 16:
            MEM[at : at + 2 * BLOCK] = self.whole


class Unbooted(Scene):
    """A file system without a supervisor, as a cut leaves one that is made anew: it is kept."""

    def further(self):
        os.remove("/boot.py")


class Damaged(Scene):
    """The only slot is damaged: the rescue application installs another one, the journal stays."""

    def further(self):
        data = bytearray(FILES["old.romfs"])
        data[700] ^= 1
        put("/a.romfs", data)


class Runtime(Scene):
    ends_on = "old"

    def over(self, world):
        # A cut in its one life ends that: the fleet hears so and offers it again.
        if world.results and world.results[0][1:] == (55, 5) and world.cut:
            if runtime_there(link.running) != "runtime1":
                raise Brick("told as gone back, and the new runtime runs")
            world.results = []
            world.cut = False
            return False
        done = Scene.over(self, world)
        if done and runtime_there(link.running) != "runtime2":
            raise Brick("told as done, and the runtime before runs")
        return done


class RuntimeBack(Scene):
    """The new runtime crashes before anything of ours runs; and the life that chose it has ended
    in an exception instead of a reset.
    """

    breaks = True

    ends_on = "old"
    result = (55, 5)

    def over(self, world):
        done = Scene.over(self, world)
        if done:
            world.bootloader()  # the next power-on
            if runtime_there(link.running) != "runtime1":
                raise Brick("told as gone back, and the new runtime runs")
        return done


SCENES = {
    "full": (Install, "full"),
    "delta": (Install, "delta"),
    "confirm": (Confirm, "full"),
    "revert": (Revert, "bad"),
    "unimportable": (Unimportable, "broken"),
    "lost": (Lost, "full"),
    "misread": (Misread, "full"),
    "unbooted": (Unbooted, "full"),
    "damaged": (Damaged, "full"),
    "runtime": (Runtime, "runtime"),
    "runtime_back": (RuntimeBack, "runtime_bad"),
}


def pointer_now():
    try:
        with open("/slot") as file:
            return file.read().split()
    except OSError:
        return []


def prepare(scene, until):
    """Live without a cut up to the life after which `until`."""
    world = World(scene)
    world.journaled = list(scene.records)
    worlds[0] = world
    cause = PWRON
    for _ in range(BOOTS_MOST):
        cause = world.power(cause)
        if until(world):
            break
    else:
        raise Brick("the scene does not begin")
    vfs.umount("/")
    scene.records = list(world.journaled)
    scene.results = list(world.results)


worlds = [None]


class Api:
    """What the slots' main modules import."""

    @staticmethod
    def run(version):
        worlds[0].life(version)


sys.modules["world"] = Api


def play(scene, cuts):
    """Live through the scene with the power cut where `cuts` say, one after the other: operations
    after the cut before, and mode. The operations of what followed the last one; what was wrong.

    What goes before the life with the first cut was the same when none was: it begins with that.
    """
    waiting = list(cuts)
    begins = scene.begins[0]
    if waiting:
        n, mode = waiting.pop(0)
        begins = [each for each in scene.begins if each.operations <= n][-1]
    fresh()
    world, cause = begins.again()
    worlds[0] = world
    if cuts:
        link.flash.arm(n - begins.operations, mode)
    for _ in range(BOOTS_MOST):
        if not cuts and link.flash.operations > scene.begins[-1].operations:
            scene.keep(world, cause)
        try:
            cause = world.power(cause)
        except PowerCut:
            pass
        except Brick as e:
            if not link.flash.dead:
                return 0, str(e)
        except Exception as e:
            if not link.flash.dead:
                sys.print_exception(e)
                return 0, "the firmware does not outlive %r" % e
        if link.flash.dead:  # whatever ran on behind the cut has left nothing
            done[0] += 1
            world.cut = True
            fresh()
            cause = PWRON
            if waiting:
                n, mode = waiting.pop(0)
                link.flash.arm(n, mode)
            continue
        try:
            if scene.over(world):
                return link.flash.operations, ""
        except Brick as e:
            return 0, str(e)
    return 0, "it does not end: ran %s, results %s, pointer %s" % (
        world.ran[-6:], world.results, pointer_now(),
    )  # fmt: skip


done = [0]


def begin():
    kind, name = SCENES[PLAN["scene"]]
    scene = kind(name)
    fresh()
    scene.lay()
    world = World(scene)
    world.journaled = list(scene.records)
    link.flash.programs = link.flash.erases = 0
    scene.keep(world, PWRON)
    return scene


def main():
    scene = begin()
    bad = []
    operations, what = play(scene, [])
    if what:
        bad.append([[], what])
    count = PLAN["count"]
    lists = PLAN["cuts"]
    if lists is None:  # everywhere, or evenly as many as are wanted
        every = [(n, mode) for n in range(operations) for mode in range(len(MODES))]
        first, step = PLAN["first"], PLAN["step"]
        lists = [[each] for each in every[first::step]]
        if count:
            lists = lists[:count]
    elif lists == "random":
        random.seed(PLAN["seed"])
        lists = [
            [(random.randrange(operations // 4), random.randrange(3)) for _ in range(5)]
            for _ in range(count)
        ]
    done[0] = 0
    for cuts in lists:
        _, what = play(scene, cuts)
        if what:
            bad.append([cuts, what])
            if len(bad) >= 3:
                break
    print(json.dumps({"operations": operations, "cuts": done[0], "bad": bad}))


sabotage(PLAN.get("sabotage"), FILES)
main()
