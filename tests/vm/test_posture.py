"""The table of postures says the same in a real MicroPython."""

from protocols.rules import posture, posture_texts
from tests.rules.test_posture import ALL
from tests.vm.bench import Hardware, printed

PROGRAM = """
from protocols.rules import posture
for power in {levels[0]!r}:
    for network in {levels[1]!r}:
        for journal in {levels[2]!r}:
            for clock in {levels[3]!r}:
                for fire in {levels[4]!r}:
                    print(posture.of({device!r}, power, network, journal, clock, fire))
"""


def test_every_combination(tmp_path):
    levels = list(posture_texts.CONDITIONS.values())
    for device in posture_texts.DEVICES:
        expected = [posture.of(device, *conditions) for conditions in ALL]
        told = printed(tmp_path, PROGRAM.format(device=device, levels=levels), Hardware())
        assert len(told) > 20 and told == expected[-len(told) :]
