"""`python -m ledger.console CONFIG`: the console as the ledger starts it (ledger/beside.py)."""

import logging
import sys

from ledger.console.server import REFUSALS, run

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main() -> int:
    """0: it was told to end; 2: it cannot begin, and says why."""
    logging.basicConfig(level=logging.INFO, format=_FORMAT)
    try:
        run(sys.argv[1], parent=sys.stdin.fileno())
    except REFUSALS as error:
        logging.getLogger(__name__).error("no console: %s", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
