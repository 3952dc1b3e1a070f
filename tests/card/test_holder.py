"""The holder's name on a card: what fits, what a display can show, and what is believed."""

import pytest

from adapters.aes import aes
from protocols.card import holder
from protocols.card.diversify import Cmac
from protocols.card.personalise import encode_name
from protocols.card.purse_classic import card_mac

UID = bytes.fromhex("de3ac417")
MAC = card_mac(Cmac(aes(bytes(16))), UID, aes)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("", ""),
        ("王伟", "王伟"),
        ("欧阳建国", "欧阳建国"),
        ("阿卜杜拉·买买提", "阿卜杜拉·买"),  # twelve cells
        ("Li Wei", "Li Wei"),
        ("Alexandrovna", "Alexandrovna"),
        ("Alexandrovna K.", "Alexandrovna"),
        ("A王王王王王王", "A王王王王王"),  # never half a character
    ],
)
def test_a_name_comes_back_as_far_as_it_fits(name, kept):
    encoded = encode_name(name)
    assert len(encoded) == holder.NAME_BYTES
    block = holder.seal_name(encoded, UID, MAC)
    assert len(block) == 16
    assert holder.open_name(block, UID, MAC).decode("gb18030") == kept


def test_what_a_display_has_not_is_refused():
    with pytest.raises(ValueError, match="GB2312 has no 㑇"):
        encode_name("王㑇")


def test_a_block_of_another_card_or_a_changed_one_says_nothing():
    block = holder.seal_name(encode_name("王伟"), UID, MAC)
    other = bytes.fromhex("de3ac418")
    assert holder.open_name(block, other, card_mac(Cmac(aes(bytes(16))), other, aes)) == b""
    for bit in range(128):
        spoiled = bytearray(block)
        spoiled[bit // 8] ^= 1 << bit % 8
        assert holder.open_name(bytes(spoiled), UID, MAC) == b"", bit
    assert holder.open_name(bytes(16), UID, MAC) == b"", "no name at all"
