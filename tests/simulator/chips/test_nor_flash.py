"""The NOR flash model: AND, erase, wear, and what a power cut leaves behind."""

import random

import pytest

from simulator.chips.nor_flash import NorFlash, PowerCut

SECTOR = 4096


def flash(seed=1, sectors=2):
    return NorFlash(sectors * SECTOR, random.Random(seed))


def read(chip, addr, size):
    buf = bytearray(size)
    chip.read(addr, buf)
    return bytes(buf)


def cut_program(seed, data, addr=0, how=""):
    chip = flash(seed)
    chip.cut_after(0, how=how)
    with pytest.raises(PowerCut):
        chip.program(addr, data)
    chip.power_on()
    return chip


def cut_erase(seed, fill=b"\x5a"):
    chip = flash(seed)
    chip.load(fill * chip.size_bytes)
    chip.cut_after(0)
    with pytest.raises(PowerCut):
        chip.erase(0)
    chip.power_on()
    return chip


def test_new_flash_is_erased_and_program_only_clears_bits():
    chip = flash()
    assert read(chip, 0, 2) == b"\xff\xff"
    chip.program(1, b"\xf0\x0f")
    chip.program(1, b"\x3c\xff")
    assert read(chip, 0, 4) == b"\xff\x30\x0f\xff"
    assert chip.programmed_bytes == 4


def test_erase_sets_one_sector_and_counts():
    chip = flash()
    chip.program(SECTOR - 1, b"\x00\x00")
    chip.erase(0)
    assert read(chip, SECTOR - 1, 2) == b"\xff\x00"
    assert chip.erases == [1, 0]
    assert chip.operations == 2


@pytest.mark.parametrize(("addr", "size"), [(-1, 2), (2 * SECTOR - 1, 2)])
def test_addresses_outside_are_refused(addr, size):
    chip = flash()
    with pytest.raises(ValueError, match="outside"):
        chip.program(addr, bytes(size))
    with pytest.raises(ValueError, match="outside"):
        read(chip, addr, size)
    with pytest.raises(ValueError, match="outside"):
        chip.erase(2)


def test_a_size_that_is_not_whole_sectors_is_refused():
    with pytest.raises(ValueError, match="whole sectors"):
        NorFlash(5000, random.Random(1))


def test_a_power_cut_is_no_exception_a_handler_could_swallow():
    assert not issubclass(PowerCut, Exception)


def test_the_cut_comes_inside_the_operation_after_n_whole_ones():
    chip = flash()
    chip.cut_after(2)
    chip.program(0, b"\x00")
    chip.erase(1)
    with pytest.raises(PowerCut):
        chip.program(8, b"\x00")
    assert chip.operations == 2


@pytest.mark.parametrize("call", ["read", "program", "erase"])
def test_after_the_cut_every_call_fails_until_power_on(call):
    chip = flash()
    chip.cut()
    assert not chip.is_powered
    calls = {
        "read": lambda: read(chip, 0, 1),
        "program": lambda: chip.program(0, b"\x00"),
        "erase": lambda: chip.erase(0),
    }
    with pytest.raises(PowerCut):
        calls[call]()
    chip.power_on()
    calls[call]()


def test_a_torn_program_stays_inside_old_and_new_and_tears_one_page():
    seen = set()
    for seed in range(60):
        chip = cut_program(seed, bytes(600), addr=100, how="torn")
        image = chip.image()
        assert image[:100] == b"\xff" * 100
        assert image[700:] == b"\xff" * (chip.size_bytes - 700)
        pages = [image[100:256], image[256:512], image[512:700]]
        begun = "".join("." if set(page) == {0xFF} else "x" for page in pages)
        whole = sum(not any(page) for page in pages)
        assert begun.count("x") - whole <= 1, seed
        seen.add(begun)
    assert {"..x", ".x.", "x..", "xx.", "x.x", ".xx", "xxx"} <= seen


@pytest.mark.parametrize("at_byte", [0, 1, 255, 256, 299, 300, 999])
def test_a_cut_at_a_byte_is_exact(at_byte):
    chip = flash()
    chip.cut_after(0, at_byte=at_byte)
    with pytest.raises(PowerCut):
        chip.program(50, bytes(300))
    stop = min(at_byte, 300)
    assert chip.image()[50:] == bytes(stop) + b"\xff" * (chip.size_bytes - 50 - stop)
    assert (chip.weak_bits, chip.programmed_bytes, chip.last_cut) == (0, stop, "byte")


def test_a_late_cut_leaves_all_bits_fallen_and_some_of_them_weak():
    counts = set()
    for seed in range(60):
        chip = cut_program(seed, b"\x0f" * 64, how="late")
        assert chip.image()[:64] == b"\x0f" * 64
        for _ in range(5):
            assert all(byte & 0x0F == 0x0F for byte in read(chip, 0, 64))
        counts.add(chip.weak_bits)
    assert 0 in counts and max(counts) > 100 and counts & {1, 2, 3}


def test_weak_bits_lean_together_from_one_power_on_to_the_next():
    late = (cut_program(seed, bytes(64), how="late") for seed in range(50))
    chip = next(one for one in late if one.weak_bits > 100)
    faces = set()
    for _ in range(60):
        chip.cut()
        chip.power_on()
        once, again = read(chip, 0, 64), read(chip, 0, 64)
        faces.add((any(once), once == again))
    assert {(False, True), (True, True), (True, False)} <= faces


@pytest.mark.parametrize("reads", [0, 1, 5])
def test_a_chip_that_wakes_slowly_answers_garbage_first(reads):
    chip = flash()
    chip.program(0, b"\x0f" * 64)
    chip.slow_start_reads = reads
    for _ in range(20):
        chip.cut()
        chip.power_on()
        answers = [read(chip, 0, 64) for _ in range(reads)]
        assert b"\x0f" * 64 not in answers
        assert read(chip, 0, 64) == b"\x0f" * 64


def test_a_bad_sector_takes_no_erase_or_no_program_or_says_so():
    chip = flash(sectors=4)
    for sector, how in enumerate(("no erase", "no program", "stuck bit", "error")):
        chip.program(sector * SECTOR, b"\x3c" * 4)
        chip.fail_sector(sector, how)
    chip.erase(0)
    assert read(chip, 0, 2) == b"\x3c\x3c"
    chip.erase(1)
    chip.program(SECTOR, bytes(2))
    assert read(chip, SECTOR, 4) == b"\xff" * 4
    chip.program(2 * SECTOR, bytes(100))
    assert sum(byte.bit_count() for byte in read(chip, 2 * SECTOR, 100)) == 2
    for call in (lambda: chip.erase(3), lambda: chip.program(3 * SECTOR, bytes(4))):
        with pytest.raises(OSError, match="flash"):
            call()
    assert read(chip, 3 * SECTOR, 4) == b"\x3c" * 4
    with pytest.raises(ValueError, match="none of"):
        chip.fail_sector(1, "tired")


def test_a_torn_program_reaches_every_length_and_never_sets_a_bit():
    lengths = set()
    for seed in range(300):
        chip = flash(seed)
        chip.program(0, b"\x0f" * 8)
        chip.cut_after(0)
        with pytest.raises(PowerCut):
            chip.program(0, b"\x03" * 8)
        chip.power_on()
        image = chip.image()[:8]
        assert all(byte & ~0x0F == 0 and byte & 0x03 == 0x03 for byte in image)
        lengths.add(chip.programmed_bytes - 8)
    assert lengths == set(range(9))


def steady_reads(chip, size):
    """What `size` bytes show over many power-ons and reads."""
    shown = set()
    for _ in range(40):
        chip.cut()
        chip.power_on()
        shown.add(read(chip, 0, size))
    return shown


def test_weak_bits_read_differently_until_programmed_or_erased():
    chip = next(c for c in (cut_program(s, bytes(64)) for s in range(50)) if c.weak_bits > 8)
    assert len(steady_reads(chip, 256)) > 5
    chip.program(0, bytes(256))
    assert chip.weak_bits == 0
    assert read(chip, 0, 256) == bytes(256)
    chip = next(c for c in (cut_program(s, bytes(64)) for s in range(50)) if c.weak_bits > 8)
    chip.erase(0)
    assert steady_reads(chip, 64) == {b"\xff" * 64}


def test_programming_ones_does_not_steady_a_weak_bit():
    chip = next(c for c in (cut_program(s, bytes(64)) for s in range(50)) if c.weak_bits > 8)
    weak = chip.weak_bits
    chip.program(0, b"\xff" * 256)
    assert chip.weak_bits == weak


def test_a_power_cycle_does_not_steady_a_weak_bit():
    chip = next(c for c in (cut_program(s, bytes(64)) for s in range(50)) if c.weak_bits > 8)
    weak = chip.weak_bits
    chip.cut()
    chip.power_on()
    assert chip.weak_bits == weak


def test_a_torn_erase_shows_all_its_phases():
    kinds = set()
    for seed in range(60):
        chip = cut_erase(seed)
        image = chip.image()
        assert image[SECTOR:] == b"\x5a" * SECTOR
        assert chip.weak_bits > 0
        sector = image[:SECTOR]
        if sector == b"\xff" * SECTOR:
            kinds.add("looks erased, but is weak")
        elif all(byte & ~0x5A == 0 for byte in sector):
            kinds.add("driven towards 0")
        else:
            kinds.add("half erased")
    assert kinds == {"looks erased, but is weak", "driven towards 0", "half erased"}


def test_reads_do_not_move_the_faults():
    images = []
    for reads in (0, 100):
        chip = flash(7)
        for _ in range(reads):
            read(chip, 0, 16)
        chip.cut_after(0)
        with pytest.raises(PowerCut):
            chip.program(0, bytes(512))
        chip.power_on()
        for _ in range(reads):
            read(chip, 0, 512)
        chip.cut_after(0)
        with pytest.raises(PowerCut):
            chip.erase(0)
        images.append(chip.image())
    assert images[0] == images[1]


def test_a_programmed_zero_may_not_stick():
    chip = flash(2)
    chip.loose_per_million = 1_000_000
    chip.program(0, bytes(16))
    assert sum(byte.bit_count() for byte in chip.image()[:16]) == 1
    chip.loose_per_million = 0
    chip.program(0, bytes(16))
    assert chip.image()[:16] == bytes(16)


def test_load_image_and_a_flipped_bit():
    chip = flash()
    image = random.Random(3).randbytes(2 * SECTOR)
    chip.load(image)
    assert chip.image() == image
    chip.flip(5, 3)
    assert read(chip, 5, 1)[0] == image[5] ^ 8
    with pytest.raises(ValueError, match="another size"):
        chip.load(b"")


def test_a_loose_bit_is_one_that_should_have_fallen():
    """A programmed 0 may not stick; a cell that was 0 before never rises."""
    flash = NorFlash(4096, random.Random(3))
    flash.loose_per_million = 1_000_000
    stayed = 0
    for address in range(0, 4096, 16):
        flash.program(address, b"\x00" * 8)
        cells = bytearray(16)
        flash.read(address, cells)
        stayed += sum(byte.bit_count() for byte in cells[:8])
        flash.program(address, b"\x00" * 8)
        again = bytearray(16)
        flash.read(address, again)
        assert all(new & ~old == 0 for old, new in zip(cells, again, strict=True))
    assert stayed == 256
