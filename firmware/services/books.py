"""What a reader has of its life before this boot: its journal, its clock, its way to the agent.

And its policy, of the settings or a newer one that the ledger has sealed for it. One counts whole
or not at all, and only if its epoch is above that of the one in force. It is stored first, as one
value that a cut leaves old or new, and is in force at once: whoever decides reads the settings'
policy each time, and hears nothing while he does (docs/adr/0048-policy-over-the-air.md).
"""

from firmware.services import built
from firmware.services.clock import Clock
from firmware.services.records import Recorder
from firmware.services.uplink import Uplink
from protocols.rules import settings as rules
from protocols.wire import cbor, messages
from protocols.wire.errors import WireError


def open_books(board, now_ms, journal):
    """(Recorder, Clock, Uplink) of a board, before this boot's first record is written.

    `journal`: on the board's flash, and not recovered yet.
    """
    settings = board.settings
    policy = settings["policy"]
    try:
        stored = rules.policy_of(cbor.decode(board.stored("policy")))
        if stored["epoch"] > policy["epoch"]:
            policy.update(stored)
    except WireError:
        pass  # there is none, or one that this firmware cannot read
    device, key = settings["device"], settings["device_key"]
    journal.recover()
    clock = Clock(board, journal, now_ms)
    recorder = Recorder(journal, device, key, clock)
    recorder.policy = policy
    recorder.previous_key = settings.get("previous_device_key")

    def on_receipt(upto, time_s, sent_ms, at_ms):
        recorder.receipt(upto)
        recorder.receipt_s = time_s
        if sent_ms is not None:
            clock.observe(time_s, sent_ms, at_ms)

    def on_policy(data, at_ms):
        body = recorder.opened(data, rules.POLICY_LABEL)
        if body is None:
            return "forged"
        told = rules.policy_of(cbor.decode(body))
        if told["epoch"] <= policy["epoch"]:
            return "repeated"
        try:
            board.store("policy", body)
        except OSError:
            return "refused"  # worn: the old one stays in force
        policy.update(told)
        recorder.note(messages.BOOT, at_ms, cause=messages.NO_BOOT, firmware=built.VERSION)
        return ""

    # Before this boot's first record: so the uplink can tell which ones it never sent.
    uplink = Uplink(board, recorder, settings["site"], device, key, on_receipt)
    uplink.on_policy = on_policy  # pyright: ignore[reportAttributeAccessIssue]
    return recorder, clock, uplink
