"""The shims: what the ESP32 port does not take they do not take; and no host shows through."""

import ast

from simulator.vm import ops
from simulator.vm.bridge import SHIMS
from tests.vm.bench import Hardware, printed

REJECTED = [
    # The stubs list priority= and hard=, the port's C source does not.
    "Pin(39).irq(handler=print, hard=True)",
    "Pin(39).irq(handler=print, priority=1)",
    "Pin(15, Pin.OUT, valve=1)",
    "machine.SPI(1, cs=Pin(5))",
    "machine.SPI(1, baud=1)",
    "machine.UART(1, baud=9600)",
    "machine.ADC(Pin(32), bits=12)",
    "machine.WDT(timeout_ms=1)",
    "esp32.RMT(0)",
    "esp32.RMT(0, pin=Pin(4), duty=1)",
    "esp32.Partition.find(esp32.Partition.TYPE_DATA, name='journal')",
    "network.LAN(mdc=Pin(23))",
    "network.WLAN(0).connect('a', 'b', hidden=True)",
    "socket.socket(blocking=False)",
    "select.poll().poll(timeout_ms=1)",
    "time.sleep_us()",
]
PROGRAM = """
import machine, esp32, network, socket, select, time
from machine import Pin
for text in {texts!r}:
    try:
        eval(text)
        print("taken", text)
    except {error} as error:
        print("{error}", error)
"""


def test_wrong_arguments_are_rejected(tmp_path):
    lines = printed(tmp_path, PROGRAM.format(texts=REJECTED, error="TypeError"), Hardware())
    assert len(lines) == len(REJECTED)
    assert [line for line in lines if not line.startswith("TypeError")] == []


def test_what_would_block_or_is_not_there_is_rejected(tmp_path):
    texts = [
        "machine.UART(1, timeout=100)",
        "socket.socket().connect(('10.0.0.2', 1))",
        "Pin(39).irq(handler=print, trigger=1)",
        "socket.socket(10)",
    ]
    program = PROGRAM.format(texts=texts, error="RuntimeError")
    lines = printed(tmp_path, program, Hardware())
    assert [line.split()[0] for line in lines] == ["RuntimeError"] * len(texts)


def test_the_ports_block_protocol(tmp_path):
    """Without an offset a write erases first, with one it never does; block 6 is erased by 6."""
    program = """
from esp32 import Partition
partition = Partition.find(Partition.TYPE_DATA, label="journal")[0]
print(Partition.find(Partition.TYPE_DATA, label="vfs"))
print(partition.ioctl(4, 0), partition.ioctl(5, 0), partition.ioctl(9, 0))
partition.writeblocks(1, bytes(4096))
partition.writeblocks(1, b"\\x00", 0)
partition.writeblocks(2, b"\\x00", 5)
print(partition.ioctl(6, 2))
"""
    hardware = Hardware()
    assert printed(tmp_path, program, hardware) == ["[]", "16 4096 None", "0"]
    assert hardware.log == [
        ("erase", 1),
        ("program", 4096, 4096),
        ("program", 4096, 1),
        ("program", 8197, 1),
        ("erase", 2),
    ]


def test_the_host_does_not_show(tmp_path):
    program = """
import utime, uos, urandom, umachine, usocket, uselect, time, os, machine
print(utime is time, uos is os, umachine is machine)
print(hasattr(machine, "mem32"), hasattr(os, "getenv"), hasattr(time, "localtime"))
print(urandom.getrandbits(8), urandom.getrandbits(3), os.urandom(2).hex())
print(time.ticks_us(), time.time())
"""
    hardware = Hardware(ticks_us=5)
    lines = printed(tmp_path, program, hardware)
    assert lines[0] == "True True True"
    assert lines[1] == "False False False"
    assert lines[2] == "1 0 0303"
    assert lines[3] == "5 843315200"


def _constants(path):
    """Private constants of a shim by name."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            assert isinstance(node.targets[0], ast.Name)
            found[node.targets[0].id[1:]] = node.value.args[0]
    return found


def test_both_ends_of_the_bridge_use_the_same_numbers():
    used = set()
    for path in SHIMS.glob("*.py"):
        for name, value in _constants(path).items():
            if hasattr(ops, name):
                assert ast.literal_eval(value) == getattr(ops, name), (path.name, name)
                used.add(name)
    known = {name for name in vars(ops) if name.isupper()}
    assert known - used == {"POSTED", "PROBE_OFF"}


def test_the_same_program_gives_the_same_log(tmp_path):
    """However late the host answers: no clock and no chance of its own reaches the VM."""
    program = """
import gc, random
into = bytearray(3)
for turn in range(40):
    started = board.ticks_us()
    board.rfid.exchange(bytes((turn, random.getrandbits(8), board.urandom(1)[0])), into)
    board.sleep_us(100 + into[1])
    took = board.ticks_us() - started
    board.display.write(b"%d %d" % (took, hash("x%d" % turn) & 0xFF))
    board.flash.program(turn, bytes((into[2],)))
    gc.collect()
"""
    logs = []
    for delay_s in (0.0, 0.0, 0.003):
        hardware = Hardware(wall_delay_s=delay_s)
        printed(tmp_path, program, hardware)
        logs.append(hardware.log)
    assert len(logs[0]) == 120
    assert logs[0] == logs[1] == logs[2]


FIND_JOURNAL = 'esp32.Partition.find(esp32.Partition.TYPE_DATA, label="journal")[0]'


class BrokenFlash(Hardware):
    """A chip that reports an error for whatever would change it."""

    def flash_program(self, address, data):
        raise OSError(5, "flash")

    def flash_erase(self, sector):
        raise OSError(5, "flash")


def test_a_flash_that_fails_raises_as_the_port_does(tmp_path):
    texts = [
        "journal.ioctl(6, 0)",
        "journal.writeblocks(0, bytes(16), 0)",
        "journal.writeblocks(0, bytes(4096))",
    ]
    program = PROGRAM.replace("for text", "journal = {find}\nfor text").format(
        texts=texts, error="OSError", find=FIND_JOURNAL
    )
    lines = printed(tmp_path, program, BrokenFlash())
    assert lines == ["OSError (-5, 'ESP_FAIL')"] * len(texts)
