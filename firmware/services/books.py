"""What a reader has of its life before this boot: its journal, its clock, its way to the agent."""

from firmware.services.clock import Clock
from firmware.services.records import Recorder
from firmware.services.uplink import Uplink


def open_books(board, now_ms, journal):
    """(Recorder, Clock, Uplink) of a board, before this boot's first record is written.

    `journal`: on the board's flash, and not recovered yet.
    """
    settings = board.settings
    device, key = settings["device"], settings["device_key"]
    journal.recover()
    clock = Clock(board, journal, now_ms)
    recorder = Recorder(journal, device, key, clock)

    def on_receipt(upto, time_s, sent_ms, at_ms):
        recorder.receipt(upto)
        recorder.receipt_s = time_s
        if sent_ms is not None:
            clock.observe(time_s, sent_ms, at_ms)

    # Before this boot's first record: so the uplink can tell which ones it never sent.
    uplink = Uplink(board, recorder, settings["site"], device, key, on_receipt)
    return recorder, clock, uplink
