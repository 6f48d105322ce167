"""`esp32.Partition` on MicroPython's own table of 4 MiB, which has no otadata."""

from esp32 import Partition

fact("no-ota.mark-valid", lambda: Partition.mark_app_valid_cancel_rollback())
fact("no-ota.next", lambda: Partition(Partition.RUNNING).get_next_update())
fact("no-ota.set-boot", lambda: Partition.find(Partition.TYPE_DATA, label="vfs")[0].set_boot())
