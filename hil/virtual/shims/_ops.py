"""Operation numbers of the board's channel: the same file on the VM and on the host.

A request is `<HBq`: payload length, operation, the VM's time; a reply is `<HBq`: payload length,
status, the board's time. Times are microseconds since 1970 UTC. Payloads stand at the operations.
"""

HELLO = 1  # -> JSON of what this boot needs to know
NOW = 2
IDLE = 3  # <qB until (-1: for ever), flags -> items: <BBH kind, number, length + data
UART_INIT = 4  # <BIHBBB unit, baud rate, rxbuf, bits, parity (0 even, 1 odd, 255 none), stop bits
UART_WRITE = 5  # <B unit + bytes
UART_OVERRUN = 6  # <BI unit, bytes dropped
PIN_MODE = 7  # <BBBB pin, mode, pull, hold
PIN_WRITE = 8  # <BB pin, level
PIN_READ = 9  # <B pin -> <B level
PIN_IRQ = 10  # <BB pin, trigger (0: off)
ADC_READ = 11  # <B pin -> <i microvolts
PWM = 12  # <BIH pin, frequency, duty of 65535
WDT_START = 13  # <I timeout in ms
WDT_FEED = 14
RTC_SET = 15  # <q RTC minus board time, in us
MEMORY_GET = 16  # -> bytes
MEMORY_SET = 17  # bytes
NVS_GET = 18  # <B type + namespace \0 key -> value
NVS_SET = 19  # <B type + namespace \0 key \0 value
NVS_ERASE = 20  # <B 0 + namespace \0 key
NVS_COMMIT = 21  # <B 0 + namespace \0
WAKE = 22  # <BB source, level + one byte a pin
SLEEP = 23  # <Bq deep, milliseconds (0: no timer); a deep sleep has no reply
RESET = 24  # <BB cause, whether the raw REPL goes on behind it; no reply
COUNTERS = 25  # <II flash pages programmed, blocks erased, since this boot
CUT = 26  # <II as above: the power fails now; no reply
PCNT_INIT = 27  # <BBBB unit, pin, rising, falling
PCNT_RUN = 28  # <BB unit, running
PCNT_VALUE = 29  # <BB unit, clear -> <i count
CRASH = 30  # text: the firmware ended, by this exception or by itself
STARTED = 31  # <I bytes of heap that the shims take, as boot.py begins
NET_OPEN = 32  # <BBH UART, socket, port + IPv4 address: a TCP connection begins
NET_SEND = 33  # <B socket + bytes -> <BH flags, bytes that were taken
NET_RECV = 34  # <BH socket, most -> <B flags + bytes
NET_CLOSE = 35  # <B socket
NET_RESOLVE = 36  # <B UART + name; the answer is an item
SERIAL_READ = 37  # <H most -> bytes typed at UART0
SERIAL_WRITE = 38  # bytes for UART0, as they are; print goes by the process's standard output
KBD_INTR = 39  # <h character that interrupts (-1: none)
PROMPT = 40  # the prompt is reached: virtual time runs 1:1
I2C = 50  # <BBBB scl, sda, address, bytes to read + bytes to write -> bytes
ULP_LOAD = 60  # <I address + binary -> <B whether it was taken
ULP_PERIOD = 61  # <I us between two runs
ULP_RUN = 62  # <I entry in bytes
ULP_WAKE = 63  # <B whether the ULP may end deep sleep
MEM_READ = 64  # <I address -> <I word
MEM_WRITE = 65  # <II address, word

OK = 0
ERROR = 1  # <h errno + its name in ESP-IDF
ARM = 2  # <IB operations until the power is cut, mode; then the reply proper
INTERRUPT = 3  # somebody typed Ctrl-C: the request was not done

# Kinds of items in an IDLE reply: UART bytes; a pin's edge flags; a socket's <BH flags, errno, or
# for number 255 the address of a name, empty for none.
RX, EDGE, NET = 0, 1, 2
POLL_IN, POLL_OUT, POLL_ERR, POLL_HUP = 1, 4, 8, 16  # a socket's flags, as in select
WAKE_ON_RX = 1  # flag of IDLE: UART bytes and what a socket tells end it
WAKE_ON_TYPED = 2  # flag of IDLE: bytes typed at UART0 end it
CUT_MODES = ("clean", "half-page", "half-erase")
EXT0, EXT1, GPIO = 0, 1, 2  # sources of WAKE
INTEGER, BLOB = 0, 1  # types in NVS
