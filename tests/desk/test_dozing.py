"""What does not happen need not be stepped through: the same bytes come out either way."""

from collections import Counter

from edge_agent.service import AgentService
from tests.desk.conftest import SMALL
from tests.desk.test_session import STORY, books, play


def left_behind(session, folder):
    """Event log, journals and books of a session that has ended."""
    report = session.finish()
    assert (report.violations, report.failures) == ([], [])
    flashes = {name: one.hardware.flash.image() for name, one in session.run.readers.items()}
    session.run.services.store.close()
    return report.transcript_sha256, flashes, books(folder)


def ask_everybody_behind_each_step(session):
    """As if any step might have moved any agent and the ledger."""
    for reader in session.run.readers.values():
        reader._after_step = session.run.services.settle


def test_who_has_nothing_to_do_is_not_asked_and_nothing_else_changes(
    open_session, tmp_path, monkeypatch
):
    calls, step_agent = Counter(), AgentService.step
    found: list = []

    def counted(agent, now_ms):
        calls[len(found)] += 1
        return step_agent(agent, now_ms)

    monkeypatch.setattr(AgentService, "step", counted)
    story = [(after_s, step) for after_s, step in STORY if step["do"] != "rest"]
    story[-2:] = [(9, step) for _, step in story[-2:]]
    for number, changed in enumerate((lambda _: None, ask_everybody_behind_each_step)):
        session = open_session(SMALL, seed=13)
        changed(session)
        play(session, story)
        assert session.run.tally.paid >= 2
        found.append(left_behind(session, tmp_path / f"session-{number}"))
    lean, thorough = found
    assert lean[1] == thorough[1] and lean[2] == thorough[2]
    assert lean[0] == thorough[0], "the event log, byte by byte"
    print(f"\nsteps of agents: {calls[1]} when all are asked, {calls[0]} when it is of use")
    assert calls[0] < calls[1] / 2
