"""What a DESFire card says of a command: status codes (MF2DL(H)x0 rev. 3.3, section 11)."""

OK = 0x00
NO_CHANGES = 0x0C
OUT_OF_EEPROM = 0x0E
ILLEGAL_COMMAND = 0x1C
INTEGRITY_ERROR = 0x1E
NO_SUCH_KEY = 0x40
LENGTH_ERROR = 0x7E
PERMISSION_DENIED = 0x9D
PARAMETER_ERROR = 0x9E
APPLICATION_NOT_FOUND = 0xA0
AUTHENTICATION_ERROR = 0xAE
ADDITIONAL_FRAME = 0xAF
BOUNDARY_ERROR = 0xBE
COMMAND_ABORTED = 0xCA
DUPLICATE_ERROR = 0xDE
FILE_NOT_FOUND = 0xF0


class Refused(Exception):
    """The card does not carry the command out; `status` is what it answers instead."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status:02X}")
        self.status = status
