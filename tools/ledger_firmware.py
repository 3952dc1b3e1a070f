"""Which readers get which firmware: `onecard ledger firmware VERB DATABASE ...`."""

from pathlib import Path

from ledger.firmware import Stage, behind
from ledger.release_file import BadRelease
from protocols.rules import release as rules
from tools.firmware import release
from tools.ledger_forks import opened
from tools.session import signing

_DAY_MIN = 1440


def window(text: str) -> tuple[int, int]:
    """Minutes of a UTC day from "02:00-05:00". BadRelease."""
    try:
        times = [[int(part) for part in time.split(":")] for time in text.split("-")]
        (hour, minute), (until_hour, until_minute) = times
    except ValueError:
        raise BadRelease(f"{text!r} is no window; 18:00-21:00 is one") from None
    found = hour * 60 + minute, until_hour * 60 + until_minute
    are_times = all(0 <= part < 60 for part in (minute, until_minute))
    if not are_times or not all(0 <= one < _DAY_MIN for one in found) or found[0] == found[1]:
        raise BadRelease(f"{text!r} is no window; 18:00-21:00 is one")
    return found


def set_stage(
    path: Path,
    file: Path,
    keys: list[Path],
    needed: int,
    percent: int,
    between: str,
    site: str,
    person: str,
    time_s: int,
    *,
    is_forced: bool,
) -> str:
    """A line that says what was set in the books `path`. NotBooks, BadRelease, OSError."""
    found, trusted = release.read(file), release.public_keys(keys)
    with signing(path, person, time_s) as (store, who):
        number = store.firmware.set_stage(
            found,
            trusted,
            needed,
            percent,
            who,
            time_s,
            site=site,
            minutes=window(between),
            is_forced=is_forced,
        )
        (stage,) = [one for one in store.firmware.stages() if one.number == number]
        return _line(stage, len(store.firmware.chosen(stage)))


def show(path: Path) -> str:
    """A line for each stage; of what counts now also how many readers do not have it yet."""
    with opened(path) as store:
        book = store.firmware
        stages, runs = book.stages(), book.versions()
        current = {stage.number for stage in book.current()}
        lines = []
        for stage in stages:
            readers = book.chosen(stage)
            line = _line(stage, len(readers))
            if stage.number in current:
                line += f"; {behind(stage, readers, runs)} of them run something older"
            lines.append(line)
        counts = {version: list(runs.values()).count(version) for version in set(runs.values())}
        lines += [
            f"reader {device}: not {version}: {reason} {REASONS.get(reason, '')}"
            for device, version, reason in book.failures()
            if runs.get(device, 0) < version
        ]
        lines += [f"version {one}: {counts[one]} readers" for one in sorted(counts)]
    return "\n".join(lines or ["no firmware was ever set"])


def _line(stage: Stage, count: int) -> str:
    hours = f"{stage.from_min // 60:02}:{stage.from_min % 60:02}"
    hours += f"-{stage.until_min // 60:02}:{stage.until_min % 60:02} UTC"
    when = "at any hour" if stage.is_forced else hours
    where = stage.site or "all sites"
    share = f"{stage.percent} %, {count} readers" if stage.percent else "halted"
    return (
        f"{stage.number}: {stage.name} {stage.version}, {where}, {when}: {share}; {stage.person}"
    )


REASONS = {
    rules.IMAGE_WRONG: "what came was not the image",
    rules.IMAGE_TOO_LONG: "the image does not fit",
    rules.NOT_PROVEN: "it never proved itself, and was come back from",
    rules.KEEPS_FAILING: "it ended again and again, and was come back from",
    rules.FLASH_FAILED: "flash did not take it",
    rules.NOT_WHOLE: "what was on flash was not the image any more, and was come back from",
    rules.NOT_ANSWERED: "nobody gave its pages",
}
