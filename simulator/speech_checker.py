"""What must hold of speech: amount and result, of what really was, and never anything else.

It believes no reader: it listens to what the module has said, and compares it with what people saw
on the display at the same moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from simulator.chips.syn6288 import REFUSED
from simulator.host.hardware import Hardware

SAID = re.compile(r"扣款\d+\.\d\d元|撤销\d+\.\d\d元|失败")


def misspoken(hardware: Hardware) -> Iterator[str]:
    """A sentence for each thing that a reader should not have said."""
    for speech in hardware.voice.spoken:
        if not SAID.fullmatch(speech.text):
            yield f"{hardware.name} says {speech.text!r}"
    if REFUSED in hardware.voice.answers:
        yield f"{hardware.name} speaks in broken frames"
