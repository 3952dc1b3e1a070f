"""`esp32` of the ESP32 port, as far as a board's console is used to provision it."""

from bridge import call, take
from micropython import const
from ustruct import unpack_from

_FLASH_READ = const(0)
_FLASH_PROGRAM = const(1)
_FLASH_ERASE = const(2)
_NVS_GET = const(3)
_NVS_SET = const(4)
_NVS_ERASE = const(5)
_BLOCK_BYTES = const(4096)
_TABLE_AT = const(0x8000)
_ROW_BYTES = const(32)
_ROWS_MAX = const(95)
_NVS_INVALID_LENGTH = const(0x110C)
_NVS_KEY_TOO_LONG = const(0x1109)


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        found = []
        row = bytearray(_ROW_BYTES)
        for number in range(_ROWS_MAX):
            call(_FLASH_READ, _TABLE_AT + number * _ROW_BYTES, _ROW_BYTES, b"", row)
            if row[:2] != b"\xaa\x50":
                break
            name = bytes(row[12:28]).rstrip(b"\0").decode()
            if row[2] == type and subtype in (0xFF, row[3]) and label in (None, name):
                start, size = unpack_from("<II", row, 4)
                found.append(Partition((row[2], row[3], start, size, name, False)))
        return found

    def __init__(self, row):
        self._row = row
        self._start = row[2]

    def info(self):
        return self._row

    def readblocks(self, block, buffer, offset=0):
        address = self._start + block * _BLOCK_BYTES + offset
        call(_FLASH_READ, address, len(buffer), b"", buffer)

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            for sector in range(block, block + len(buffer) // _BLOCK_BYTES):
                self.ioctl(6, sector)
            offset = 0
        call(_FLASH_PROGRAM, self._start + block * _BLOCK_BYTES + offset, 0, bytes(buffer))

    def ioctl(self, request, value):
        if request in (1, 2, 3):
            return 0
        if request == 4:
            return self._row[3] // _BLOCK_BYTES
        if request == 5:
            return _BLOCK_BYTES
        if request == 6:
            return call(_FLASH_ERASE, self._start // _BLOCK_BYTES + value)
        return None


class NVS:
    def __init__(self, namespace):
        if namespace != "onecard":
            raise RuntimeError("one namespace")
        self._changed = b"", b""

    def get_blob(self, key, buffer):
        name = key.encode()
        size = call(_NVS_GET, len(name), 0, name)
        if size < 0:
            raise OSError(size, "ESP_ERR_NVS_NOT_FOUND")
        data = take(size)
        if size > len(buffer):
            raise OSError(-_NVS_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[:size] = data
        return size

    def set_blob(self, key, value):
        if len(key) > 15:
            raise OSError(-_NVS_KEY_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._changed = key.encode(), bytes(value)

    def erase_key(self, key):
        name = key.encode()
        if call(_NVS_ERASE, len(name), 0, name) < 0:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        key, value = self._changed
        if key and call(_NVS_SET, len(key), 0, key + value) < 0:
            raise OSError(-0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self._changed = b"", b""
