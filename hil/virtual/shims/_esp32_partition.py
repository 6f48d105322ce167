"""`esp32.Partition`, of which most boots need one word: the rest comes when it is asked for."""

import sys

import _rom


class _Lazy:
    def __call__(self, *args, **named):
        return _rom.module("_esp32_parts").Partition(*args, **named)

    def __getattr__(self, name):
        return getattr(_rom.module("_esp32_parts").Partition, name)

    def mark_app_valid_cancel_rollback(self):
        try:
            _rom.module("_esp32_ota").mark_valid()
        finally:
            del sys.modules["_esp32_ota"]


Partition = _Lazy()
