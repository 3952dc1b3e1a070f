"""The simulated acquirer as a process: `python -m simulator.acquirer FILE KEY_FILE`.

It prints its port, and ends when its standard input ends. A line "expire ORDER_NO" there is its
own time-out, "heal" the end of all faults, "late" the arrival of what is under way, "tomorrow" the
next day, "today 2026-09-01" another one (who plays time for it says so from then on), "disturb
VERB FAULT..." what goes wrong with the next requests of a verb, "stray ORDER_NO FEN" a payment
that it took for us and nobody of ours asked for; each is answered with a line "done".
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from adapters import secret_files
from simulator.acquirer.faults import Faults, Line
from simulator.acquirer.payments import Answer, Payments
from simulator.acquirer.server import AcquirerServer


class _Calendar:
    """The acquirer's days: those of UTC+8, and any number further on; or the day it is told."""

    def __init__(self) -> None:
        self.days = 0
        self.told = ""

    def today(self) -> str:
        if self.told:
            return self.told
        now = datetime.fromtimestamp(time.time(), UTC) + timedelta(hours=8, days=self.days)
        return now.date().isoformat()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="A simulated acquirer.")
    parser.add_argument("file", help="its books")
    parser.add_argument("key_file", help="64 hexadecimal digits, as the ledger's")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--plan", type=json.loads, default={}, help='{"reserve": ["silent"]}')
    parser.add_argument("--seed", type=int, help="draw faults instead")
    parser.add_argument("--hold-s", type=float, default=1.0, help="how long it keeps silent")
    options = parser.parse_args()
    key = bytes.fromhex(secret_files.read(Path(options.key_file)).decode().strip())
    payments, calendar = Payments(options.file), _Calendar()

    def carry_out(verb: str, order_no: str, said: Answer) -> Answer:
        return payments.carry_out(verb, order_no, calendar.today(), said)

    line = Line(carry_out, Faults(options.plan, options.seed))
    server = AcquirerServer(options.port, key, payments, line, calendar.today, options.hold_s)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for command in sys.stdin:
        verb, *what = command.split()
        with server.turn:
            if verb == "expire":
                payments.expire(*what)
            elif verb == "heal":
                line.faults.heal()
            elif verb == "late":
                line.deliver_late()
            elif verb == "tomorrow":
                calendar.days += 1
            elif verb == "today":
                calendar.told = date.fromisoformat(what[0]).isoformat()
            elif verb == "disturb":
                line.faults.disturb(what[0], what[1:])
            elif verb == "stray":
                payments.stray(what[0], int(what[1]), calendar.today())
        print("done", flush=True)


if __name__ == "__main__":
    main()
