"""`random` of the ESP32 port, which the chip's own noise seeds: here, the world's."""

from os import urandom


def getrandbits(size):
    return int.from_bytes(urandom((size + 7) // 8), "big") >> (-size % 8)
