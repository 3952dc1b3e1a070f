"""The ledger's benchmarks on tiny parameters: no figure for books that are not right."""

import pytest

from tools.bench import ledger_rate


def test_a_rate_is_that_of_right_books(tmp_path):
    work = ledger_rate.Work.drawn(seed=1, spends=300, workers=1)
    assert sum(len(part) for part in work.portions[0]) > work.records, "some come twice"
    assert ledger_rate.measure(str(tmp_path / "ledger.sqlite"), work) > 0


def test_workers_share_the_readers_and_not_a_reader(tmp_path):
    one, two = (ledger_rate.Work.drawn(1, 300, workers) for workers in (1, 2))
    halves = [{sealed for part in portion for sealed in part} for portion in two.portions]
    assert not halves[0] & halves[1]
    assert halves[0] | halves[1] == {sealed for part in one.portions[0] for sealed in part}


@pytest.mark.parametrize("spoil", ["lost", "changed"])
def test_no_figure_for_books_that_lack_something(tmp_path, spoil):
    work = ledger_rate.Work.drawn(seed=1, spends=100, workers=1)
    if spoil == "lost":
        work.portions[0].pop()
    else:
        work.cards[0].balance_fen += 1
    with pytest.raises(ledger_rate.NotBooked):
        ledger_rate.measure(str(tmp_path / "ledger.sqlite"), work)
