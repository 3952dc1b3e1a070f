"""A reader at its post: what it writes, and what of that it has not delivered yet."""

from collections.abc import Callable

from simulator.chains import Reader


class Post:
    """`outbox`: records, and what happens once all of them are in the books.

    It is online from day `online_day` on.
    """

    def __init__(self, device: int, merchant_no: int) -> None:
        self.reader = Reader(device, merchant_no)
        self.outbox: list[tuple[list[bytes], Callable[[], None] | None]] = []
        self.online_day = 0

    def keep(self, records: list[bytes], on_told: Callable[[], None] | None = None) -> None:
        self.outbox.append((records, on_told))
