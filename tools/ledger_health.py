"""`onecard ledger doctor` and `metrics`: how the books are, for people and for Prometheus."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from adapters.identity import IdentityError
from ledger import audit
from ledger.config import Config, ConfigError, load_config
from ledger.doctor import Finding, examine
from ledger.health import look
from ledger.metrics import HealthCollector, text
from tools.ledger_forks import NotBooks, opened


def findings(path: Path, folder: Path | None, now_s: int) -> Iterator[Finding]:
    """What is wrong, and what is not. Raises NotBooks."""
    config = _config(path)
    with opened(path) as store:
        yield from examine(store, now_s, config, folder)


def metrics(path: Path, folder: Path | None, now_s: int) -> bytes:
    """The metrics of books, audit (in `folder`) and the ledger's certificate. NotBooks."""
    with opened(path) as store:
        health = look(store.database)
    return text(HealthCollector(health, now_s, dict(_beside(_config(path), folder, now_s))))


def _beside(
    config: Config | None, folder: Path | None, now_s: int
) -> Iterator[tuple[str, tuple[str, int]]]:
    if folder is not None:
        try:
            last = audit.newest(folder)
            day = datetime.fromisoformat(last.day).replace(tzinfo=UTC) if last else None
        except (OSError, ValueError, KeyError, TypeError):
            day = None  # as if there were none: the rule about its age says so
        value = int(day.timestamp()) if day else 0
        yield "audit_day_timestamp_seconds", ("The day of the newest audit; 0: none", value)
    if config is not None and config.identity is not None:
        try:
            days = config.identity.days_left(now_s)
        except IdentityError:
            days = -1
        yield "certificate_left_days", ("Until the certificate for the broker ends", days)


def _config(path: Path) -> Config | None:
    try:
        return load_config(path) if path.suffix == ".toml" else None
    except ConfigError as error:
        raise NotBooks(str(error)) from error
