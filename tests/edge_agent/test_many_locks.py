"""A handheld has all locks of a building on its line, and one of them is there."""

from edge_agent.polling import Polling

LOCKS = range(3001, 3101)
LONGEST_MS = 20_000


def test_each_of_a_hundred_is_looked_for_again_and_again():
    """Those who are missing do not take the looks of those behind them in the list."""
    polling, now_ms, asked_ms = Polling(list(LOCKS), 115_200), 0, {device: [0] for device in LOCKS}
    while now_ms < 180_000:
        due_ms = polling.step(now_ms)
        if polling.data_to_send() and polling._asked:
            asked_ms[polling._asked.device].append(now_ms)
        now_ms = max(due_ms, now_ms + 1)
    longest_ms = max(
        later - before
        for times in asked_ms.values()
        for before, later in zip(times, [*times[1:], now_ms], strict=True)
    )
    print(f"longest between two looks for one of a hundred: {longest_ms} ms")
    assert longest_ms <= LONGEST_MS
