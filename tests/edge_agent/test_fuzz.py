"""A hundred thousand wrong messages: the agent neither stops, nor forgets, nor takes from others.

One seed, printed, makes all of them: ONECARD_FUZZ_SEED plays another.
"""

import os
import random
import tracemalloc

from edge_agent.polling import Polling
from edge_agent.rate import MESSAGES_PER_S
from protocols.wire import messages, topics
from protocols.wire.errors import WireError
from protocols.wire.frame import UP, decode_frame, encode_frame
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger

SEED = int(os.environ.get("ONECARD_FUZZ_SEED", "20261126"))
READERS, UPSTREAM, FRAMES = 60_000, 20_000, 20_000
STEP = 100
A, B = 1001, 1002  # A's name is used by somebody else too; B is let alone
MIB = 1 << 20
# Heads of CBOR that promise much, or are not allowed here.
_HEADS = (b"\x9b" + b"\xff" * 8, b"\xbf", b"\x5b" + b"\x7f" * 8, b"\xfb" + bytes(8), b"\xd8\x1c")


def spoil(draw, payload, others):
    """One payload made wrong in one of many ways (or by chance not)."""
    data = bytearray(payload)
    kind = draw.randrange(9)
    at = draw.randrange(len(data) or 1)
    if kind == 0:
        for _ in range(draw.randrange(1, 9)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        data[at:at] = draw.randbytes(draw.randrange(1, 40))
    elif kind == 3:
        data[at : at + 1] = draw.choice(_HEADS)
    elif kind == 4:
        data[at:] = draw.choice(others)[draw.randrange(40) :]
    elif kind == 5:
        return draw.randbytes(draw.randrange(200))
    elif kind == 6:
        data += draw.randbytes(draw.choice((1, 300, 5_000)))
    elif kind == 7:
        end = draw.randrange(at, len(data) + 1)
        data[at:end] = data[at:end] * draw.randrange(2, 5)
    else:
        return b""
    return bytes(data)


def a_topic(draw, device):
    strange = (
        topics.up(SITE, draw.randrange(1, 100_000)),
        topics.down(SITE, device),
        f"onecard/v1/{SITE}/{device}",
        f"onecard/v1/elsewhere/{device}/up",
        f"onecard/v1/{SITE}/+/up",
        f"onecard/v1/{SITE}/#",
        f"onecard/v1/{SITE}/00{device}/up",
        "$SYS/broker/uptime",
        "",
        "\x00" * 40,
    )
    return draw.choice(strange) if draw.randrange(20) == 0 else topics.up(SITE, device)


def test_payloads_of_readers(tmp_path):
    print(f"ONECARD_FUZZ_SEED={SEED}")
    draw = random.Random(SEED)
    building = Building(tmp_path, Ledger([A, B]), [A, B], with_cards=True)
    for reader in building.readers.values():
        reader.write(160)
    truth = building.readers[A]
    valid = [truth.hello(), *(truth.batch(first) for first in range(1, 160, 8))]
    ask = {"device": A, "epoch": 0, "page": 1, "data": b""}
    valid.append(messages.encode_message(messages.CARDS, ask))
    relay = {"device": A, "sealed": bytes(60)}
    valid.append(messages.encode_message(messages.RELAY, relay))
    building.put(B, building.readers[B].journal[1:])
    building.upstream.down()
    for step in range(READERS // STEP):
        if step == READERS // STEP - 20:
            tracemalloc.start()  # by now whatever grows has grown; it makes all this slow
        for _ in range(STEP):
            payload = spoil(draw, draw.choice(valid), valid)
            topic = a_topic(draw, A)
            building.port.deliver(topic, payload, retain=draw.randrange(30) == 0)
        # No faster than a reader is heard, and what is large counts for more.
        building.step(2 * STEP * 1_000 // MESSAGES_PER_S)
        building.port.sent()
        building.port.acked.clear()
        building.port.events.clear()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 8 * MIB
    refused = sum(number for name, number in building.agent.counters.items() if "bad_up" in name)
    assert refused > READERS // 2
    assert len(building.agent.counters) < 80
    kept = building.store.records_after(B, 0, 999)
    assert kept == list(enumerate(building.readers[B].journal))[1:]
    # What was forged in A's name first must not keep out what A really wrote.
    building.upstream.up()
    for _ in range(60):
        building.say(A, truth.hello())
        building.say(B, building.readers[B].hello())
        building.step(2_000)
        building.settle(2_000)
        for topic, payload in building.port.sent():
            device = int(topic.split("/")[3])
            if device in building.readers:
                _hear(building.readers[device], payload)
        if truth.cursor < truth.head:
            building.say(A, truth.batch())
    assert building.ledger.booked[A] == truth.journal
    assert building.ledger.booked[B] == building.readers[B].journal


def _hear(reader, payload):
    """As far as it is STORED or RECEIPT: the agent answers asks about cards too."""
    try:
        messages.decode_message(payload, (messages.STORED, messages.RECEIPT))
    except WireError:
        return
    reader.hear(payload)


def test_payloads_of_the_card_centre(tmp_path):
    print(f"ONECARD_FUZZ_SEED={SEED}")
    draw = random.Random(SEED + 1)
    building = Building(tmp_path, Ledger([A]), [A], with_cards=True)
    reader = building.readers[A]
    reader.write(40)
    building.put(A, reader.journal[1:])
    (forward,) = building.forwarded()
    answer = building.ledger.answer(forward)
    relay = messages.encode_message(messages.RELAY, {"device": A, "sealed": bytes(60)})
    valid = [answer, relay, topics.LEDGER_STATUS.encode()]
    down = [topics.agent_receipts(SITE), topics.relay_down(SITE), topics.LEDGER_STATUS]
    down += [topics.cards_down(SITE), topics.LEDGER_CARDS, "onecard/v1/x", ""]
    for _ in range(UPSTREAM // STEP):
        for _ in range(STEP):
            payload = spoil(draw, draw.choice(valid), valid)
            payload = b"" if payload == answer else payload  # one that was not spoiled at all
            building.upstream.deliver(draw.choice(down), payload, retain=draw.randrange(20) == 0)
        for _ in range(STEP // 50):
            building.step(100)
    while building.upstream._inbox:
        building.step(100)
    assert building.store.mark(A).receipted == 0, "nothing that was not signed frees anything"
    assert building.store.count() == 40
    assert len(building.agent.counters) < 80
    building.port.sent()  # RELAYs, whose seals are the readers' matter
    building.play()
    assert building.ledger.booked[A] == reader.journal


def test_frames_of_a_serial_line():
    print(f"ONECARD_FUZZ_SEED={SEED}")
    draw = random.Random(SEED + 2)
    polling = Polling([A, B], 115_200)
    now_ms, heard = 0, 0
    for number in range(FRAMES):
        now_ms = max(polling.step(now_ms), now_ms + 1)
        polled = polling.data_to_send()
        frames = [bytes(encode_frame(A, 9, UP | draw.randrange(256), draw.randbytes(20)))]
        if polled:
            device, session, control, _ = decode_frame(polled[1:-1])
            # What an honest reader would say, spoiled; once in a while as it is.
            frames.append(bytes(encode_frame(device, session or 9, UP | control, b"x")))
        frame = draw.choice(frames)
        honest = draw.randrange(50) == 0
        polling.receive(frame if honest else spoil(draw, frame, frames), now_ms)
        if number % 100 == 0:
            polling.receive(bytes(draw.randrange(3)), now_ms)
        heard += len(polling.inbox)
        polling.inbox.clear()
        polling.events.clear()
    assert len(polling.counters) < 30
    # The line is quiet again: both readers are found and heard.
    for _ in range(2_000):
        now_ms = max(polling.step(now_ms), now_ms + 1)
        polled = polling.data_to_send()
        if polled:
            device, session, control, _ = decode_frame(polled[1:-1])
            polling.receive(bytes(encode_frame(device, session or 9, UP | control)), now_ms)
        if polling.readers_up() == 2:
            break
    assert polling.readers_up() == 2
