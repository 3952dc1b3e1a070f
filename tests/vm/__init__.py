"""The VM home: the bridge, the shims, the ESP32 board in a real MicroPython."""
