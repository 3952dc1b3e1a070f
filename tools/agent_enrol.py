"""Which readers an agent takes: `onecard agent enrol`. Beside the running agent, by its own file.

Nothing is asked over a network: whoever may write in the agent's data folder decides.
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent import decisions
from edge_agent.config import Config
from edge_agent.decisions import Decisions, Standing, standing
from edge_agent.inventory import waiting_in

NOBODY_WAITS, SOMEBODY_WAITS = 0, 1
ANSWER_S, LOOK_S = 5.0, 0.1


class EnrolRefused(Exception):
    """It cannot be decided so; nothing was changed, and the text says why."""


def show(config: Config) -> tuple[int, str]:
    """Whether a reader waits, and all there is to know. Raises EnrolRefused."""
    now, waiting = _standing(config), _waiting(config)
    until = datetime.fromtimestamp(now.open_until_s, UTC).isoformat().replace("+00:00", "Z")
    lines = [f"the window is open until {until}" if now.is_open else "the window is closed"]
    for each in waiting:
        since = datetime.fromtimestamp(each["first_s"], UTC).isoformat().replace("+00:00", "Z")
        lines.append(f"reader {each['device']} on {each['link']}: NOT ADMITTED, since {since}")
    for device, link in sorted(now.links.items()):
        way = now.ways.get(device, decisions.KNOWN)
        lines.append(f"reader {device} on {link or 'whichever link it is heard first'}: {way}")
    for device, link in sorted(now.denied):
        lines.append(f"reader {device} on {link}: denied")
    if now.bad_lines:
        lines.append(f"{now.bad_lines} lines of {decisions.NAME} say nothing")
    return (SOMEBODY_WAITS if waiting else NOBODY_WAITS), "\n".join(lines)


def set_window(config: Config, minutes: int, person: str) -> bool:
    """Ask for a window of `minutes` (0: for its end); whether the agent has answered in time."""
    file = Decisions(_path(config))
    _standing(config)
    if minutes:
        asked = {"act": decisions.OPEN, "minutes": minutes}
    else:
        asked = {"act": decisions.CLOSE}
    file.news()
    _append(file, asked, person)
    answer = decisions.OPENED if minutes else decisions.CLOSED
    end_s = time.monotonic() + ANSWER_S
    heard = Standing()
    while time.monotonic() < end_s:
        for line in file.news()[1]:
            decision = heard.apply(line)
            if decision is not None and decision["act"] == answer:
                return True
        time.sleep(LOOK_S)
    return False


def decide(config: Config, act: str, device: int, link: str, person: str) -> str:
    """Approve or deny (`act`) a reader on a link; which one. Raises EnrolRefused.

    Without a `link`: the one on which it waits; to deny it, else the one that it hangs on.
    """
    now = _standing(config)
    if not link:
        found = [each["link"] for each in _waiting(config) if each["device"] == device]
        home = now.links.get(device)
        if not found and act == decisions.DENIED and home is not None:
            found = [home]
        if len(found) != 1:
            said = f"on {' and '.join(found)}" if found else "nowhere"
            raise EnrolRefused(f"reader {device} waits {said}: say which with --link")
        (link,) = found
    if not decisions.is_link(link):
        raise EnrolRefused("a link is 'network' or the url of a line, as the configuration says")
    file = Decisions(_path(config))
    _append(file, {"act": act, "device": device, "link": link}, person)
    return link


def _append(file: Decisions, decision: dict[str, Any], person: str) -> None:
    if not decisions.is_person(person):
        text = f"a person is one word of a-z, 0-9 and -, at most {decisions.PERSON_CHARS_MAX}"
        raise EnrolRefused(text)
    try:
        file.append({**decision, "by": person, "time_s": int(time.time())})
    except OSError as error:
        raise EnrolRefused(f"it could not be written: {error}") from None


def _standing(config: Config) -> Standing:
    path = _path(config)
    try:
        return standing(path)
    except OSError as error:
        raise EnrolRefused(f"no agent has begun a list yet: {error}") from None


def _path(config: Config) -> Path:
    if not config.enrolment:
        raise EnrolRefused("the configuration says no [enrolment] required = true: all are taken")
    return config.data / decisions.NAME


def _waiting(config: Config) -> list[dict[str, Any]]:
    path = config.data / "inventory.json"
    try:
        return waiting_in(path)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise EnrolRefused(f"who waits cannot be read: {error}") from None
