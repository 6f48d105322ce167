"""`machine.WDT`: it can only be started, so that a reset must follow this script."""

from machine import WDT

fact("watchdog.no-unit", lambda: WDT(1))
fact("watchdog.zero", lambda: WDT(timeout=0))
fact("watchdog.below", lambda: WDT(0, -1))
wdt = WDT(timeout=60000)
fact("watchdog.one-object", lambda: WDT(timeout=90000) is wdt)
fact("watchdog.feed", lambda: wdt.feed())
fact("watchdog.names", lambda: missing(WDT, "feed"))
