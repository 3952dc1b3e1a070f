"""A reader's firmware in a real MicroPython VM; models in this process are its hardware."""
