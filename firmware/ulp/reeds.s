# Counts the pulses of a gas meter on the ULP, whatever the CPU does: asleep, awake or in a reset.
# One run each scan period (20 ms). A run that finds the contacts as they were writes nothing.
#
# Contacts: bit 0 is `pulse`, bit 1 is `pulse2`. A level counts when two runs have seen it. The step
# from one state to the next is looked up in TABLE, which the CPU fills: 1 none, 2 a quarter turn
# forwards, 3 half a turn, 5 a whole one, 0 a quarter backwards, 15 what no turning wheel does: a
# magnet. q counts quarters from 4: at 8 a turn forwards is whole, at 0 one backwards. A wheel that
# rocks to and fro within a turn so counts nothing. Contacts that are set apart are both open most
# of the time, which tells nothing: with OPEN 0 the state stays that of the last closed one.

.set DATA, 128          # in words; the CPU finds the fields below from here on
.set RAW, 1             # what the last run saw
.set STATE, 2           # what two runs saw
.set Q, 3
.set FORWARD, 4         # pulses, modulo 65536
.set BACKWARD, 5        # likewise
.set JUMPS, 6           # both contacts at once, modulo 65536
.set LEFT, 7            # pulses until the CPU wants to be woken; 0: it does not
.set WANT, 8            # 1: the CPU is to be woken as soon as it sleeps
.set OPEN, 9            # 0: that both are open is no state of its own; else 4
.set TABLE, 16          # by 4 * state before + state now
.set MAGNET, 15

start:
    reg_wr IOMUX_CLOCK, 31, 31, 1   # the ESP32-S3 lets RTC inputs freeze without it
    reg_rd GPIO_IN, 0, 0            # word 1: the CPU puts in the bit of `pulse`
    move r1, r0
    reg_rd GPIO_IN, 0, 0            # word 3: and here that of `pulse2`
    lsh r0, r0, 1
    or r1, r1, r0
    move r3, DATA
    ld r0, r3, RAW
    sub r0, r0, r1
    jump steady, eq
    st r1, r3, RAW
    halt
steady:
    ld r0, r3, OPEN
    or r0, r0, r1
    jump rest, eq
    ld r2, r3, STATE
    sub r0, r2, r1
    jump rest, eq
    st r1, r3, STATE
    lsh r2, r2, 2
    or r2, r2, r1
    add r2, r2, r3
    ld r0, r2, TABLE
    sub r1, r0, MAGNET
    jump magnet, eq
    ld r1, r3, Q
    add r1, r1, r0
    sub r1, r1, 1
    st r1, r3, Q
    sub r0, r1, 8
    jump forward, eq
    sub r0, r1, 0
    jump backward, eq
rest:
    ld r0, r3, WANT
    sub r0, r0, 1
    jump knock, eq
    halt
magnet:
    ld r0, r3, JUMPS
    add r0, r0, 1
    st r0, r3, JUMPS
    jump want
backward:
    move r0, 4
    st r0, r3, Q
    ld r0, r3, BACKWARD
    add r0, r0, 1
    st r0, r3, BACKWARD
    jump want
forward:
    move r0, 4
    st r0, r3, Q
    ld r0, r3, FORWARD
    add r0, r0, 1
    st r0, r3, FORWARD
    ld r0, r3, LEFT
    sub r1, r0, 0
    jump rest, eq
    sub r0, r0, 1
    st r0, r3, LEFT
    sub r1, r0, 0
    jump want, eq
    jump rest
want:
    move r0, 1
    st r0, r3, WANT
knock:
    reg_rd LOW_POWER, 19, 19        # RDY_FOR_WAKEUP: 0 while the CPU is awake
    sub r0, r0, 1
    jump ready, eq
    halt
ready:
    move r0, 0
    st r0, r3, WANT
    wake
    halt
