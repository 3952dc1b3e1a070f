"""Where a board hangs: a serial port of this machine, one on the network, or a simulated board.

/dev/ttyUSB0, COM3      a port of this machine
rfc2217://host:port     a port of another one; socket://host:port for one without its lines
sim://FOLDER            a simulated board (simulator/board) that is under power meanwhile
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.device.errors import DeviceError

_NETWORK = ("rfc2217://", "socket://")
_SIMULATED = "sim://"


@contextmanager
def opened(url: str) -> Iterator[str]:
    """What esptool and mpremote are told, while the board can be spoken to. DeviceError."""
    if url.startswith(_SIMULATED):
        from simulator.board.served import served

        try:
            with served(Path(url.removeprefix(_SIMULATED))) as port:
                yield port
        except (FileNotFoundError, json.JSONDecodeError):
            raise DeviceError(1, url) from None
        return
    if not url.startswith(_NETWORK):
        _check(Path(url))
    yield url


def listed() -> list[tuple[str, str]]:
    """(port, what it says that it is) of this machine."""
    from serial.tools.list_ports import comports

    return [(port.device, port.description) for port in sorted(comports())]


def _check(path: Path) -> None:
    """Whether this user can open it: mpremote and esptool only say that they could not."""
    if not path.is_absolute():
        return  # COM3
    try:
        with path.open("r+b", buffering=0):
            pass
    except FileNotFoundError:
        raise DeviceError(1, str(path)) from None
    except PermissionError:
        raise DeviceError(2, str(path)) from None
    except OSError as error:
        raise DeviceError(1, f"{path}: {error.strerror}") from None
