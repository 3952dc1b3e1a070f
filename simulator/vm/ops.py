"""What the VM may ask of its hardware.

A request is four little-endian int32 (op, a, b, size) and `size` bytes. Its answer is three int32
(result, size, ticks) and `size` bytes; a negative result is an errno, and ticks are what TICKS_US
would say now. An op from POSTED on has no answer and takes no time. The shims hold the same
numbers as private constants, which cost the VM no heap; a test compares.
"""

WAIT = 0  # a: timeout in ms, -1 for ever; result: 1 if input woke the reader, 0 if time ran out
TICKS_US = 1  # result: microseconds since reset, modulo 2**30
SLEEP_US = 2  # a: microseconds, b: a pin or 0; result: its level after the sleep
TIME_S = 3  # result: seconds since 2000-01-01, near 0 when the clock was never set
RESET_CAUSE = 4
PIN_READ = 5  # a: pin
ADC_READ_UV = 6  # a: pin
SPI_TRANSFER = 7  # a: pins sck << 16 | mosi << 8 | miso; data out, as many bytes in
UART_READ = 8  # a: pin rx, b: bytes at most or -1; result: bytes that follow
FLASH_SECTORS = 9  # a: where the partition begins, see parts.py; result: 0 if there is none
FLASH_READ = 10  # a: address, b: bytes
FLASH_PROGRAM = 11  # a: address; data
FLASH_ERASE = 12  # a: sector
NVS_GET = 13  # data: key; result: bytes that follow
URANDOM = 14  # a: bytes
LINK_UP = 15  # result: 1 or 0
NET_OPEN = 16  # a: port; data: host; result: handle
NET_CONNECTED = 17  # a: handle; result: 1 or 0
NET_SEND = 18  # a: handle; data; result: bytes taken
NET_RECV = 19  # a: handle, b: bytes at most; result: bytes that follow, 0 at the end
NVS_SET = 20  # a: bytes of the key; data: key and blob
PULSE_DONE = 21  # a: pin; result: 1 if it sends no pulses by itself
UART_FLUSH = 22  # a: pin tx; until the last stop bit has left
USB_CONFIG = 23  # a: bytes of the device descriptor; data: that, and the configuration
USB_ACTIVE = 24  # a: on the bus or not
USB_SUBMIT = 25  # a: endpoint; data; result: 1 if it is queued
USB_EVENT = 26  # the reply to the event before: a: bytes or b, and data; result: bytes that follow
DEEP_SLEEP = 27  # a: timeout in ms, b: the pin of EXT0 << 1 | level, or -1; data: EXT1's, at 1
RTC_MEMORY = 28  # result: bytes that follow, of what sleep leaves
I2C_READ = 29  # a: sda << 16 | scl << 8 | address, b: register << 8 | bytes; result: as many
I2C_WRITE = 30  # a: as above, b: register; data
WAKE_REASON = 31  # as the port numbers it: 2 by EXT0, 3 by EXT1, 4 by its timer

POSTED = 32
PIN_SETUP = 32  # a: pin, b: level
PIN_WRITE = 33  # a: pin, b: level
SPI_SETUP = 34  # a: baud rate, b: polarity << 1 | phase
UART_WRITE = 35  # a: pin tx; data
PULSE = 36  # a: pin, b: microseconds
NET_CLOSE = 37  # a: handle
WDT_START = 38  # a: timeout in ms
WDT_FEED = 39
MEMORY = 40  # a: bytes of heap in use, b: bytes in use after a collection
BOOTED = 41  # a: bytes of heap in all, b: bytes in use by the shims themselves
RADIO = 42  # a: 0 off, 1 on and saving, 2 on
RETAIN = 43  # data: what sleep shall leave
RESTART = 44  # this life ends, and the next one begins

# How much the VM tells about its heap: nothing, at every wait, at every call.
PROBE_OFF, PROBE_WAITS, PROBE_CALLS = 0, 1, 2
