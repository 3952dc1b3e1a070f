"""A bare board on a cable: its flash chip, its ROM, and a real MicroPython at its console."""
