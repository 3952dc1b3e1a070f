"""A SYN6288 speaks Chinese: frames of GB2312 for the module that hangs on the pole display's line.

Amount and result only: who stands behind hears it too. From the maker's data sheet of 2010-02-22:
0xFD, two bytes of length, 1 (speak), 0 (GB2312, no music), the text, and all of it by XOR. The
length counts what follows it, at most 203 bytes. A frame that comes while the last one is spoken
ends that one. In the text, [v1] to [v16] is how loud.
"""

# GB2312, for MicroPython has no codec: taken, cancelled, failed; yuan.
TAKEN, UNDONE, FAILED = b"\xbf\xdb\xbf\xee", b"\xb3\xb7\xcf\xfa", b"\xca\xa7\xb0\xdc"
_YUAN = b"\xd4\xaa"


def frame(volume, result, amount=""):
    """What says a result, and "12.50" yuan if that is given; at most 33 bytes."""
    text = b"[v%d]" % volume + result
    if amount:
        text += amount.encode() + _YUAN
    data = b"\xfd" + (len(text) + 3).to_bytes(2, "big") + b"\x01\x00" + text
    check = 0
    for byte in data:
        check ^= byte
    return data + bytes((check,))
