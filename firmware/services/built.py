"""What an image is. `onecard firmware build` puts its own numbers in the place of these."""

VERSION = 1
PROGRAM = 0  # CRC-32 of the name of its main program; 0: built by hand, never updated over the air
