"""The card centre's own authority in a folder: it issues, renews and revokes certificates.

    register.json   every certificate that was ever signed, and what is revoked: written first, so
                    no certificate leaves that the register does not know
    ca-1.pem, .key  the authority itself; the key has mode 0600. There is a ca-2 once it is rolled
    ca.pem          what everybody trusts: every authority that is not retired, newest first
    crl.pem         what brokers get: a list of each of these

Rolling over: `next` adds an authority to ca.pem, and from then on it signs. First ca.pem goes to
brokers, agents and readers, then certificates are renewed one by one, both kinds being good; when
`list` shows none of the old authority any more, `retire` takes it out of ca.pem.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from adapters import secret_files
from adapters.secret_files import SecretFileError
from tools.identity import certificates, files
from tools.identity.certificates import Signer
from tools.identity.names import DAYS, DAYS_MAX, READER, BadName, Name

__all__ = ["Authority", "AuthorityError", "BadName", "Entry"]

DAY_S = 86_400
AUTHORITY_DAYS = 7300
_REGISTER, _TRUSTED, _REVOKED = "register.json", "ca.pem", "crl.pem"


class AuthorityError(Exception):
    """It cannot be done; the text says why, and names no secret."""


@dataclass(frozen=True)
class Entry:
    """A certificate in the register; `serial` in hexadecimal, times in UTC seconds."""

    serial: str
    name: str
    kind: str
    hosts: tuple[str, ...]
    generation: int
    not_after_s: int
    revoked_s: int | None = None

    def is_good(self, now_s: int) -> bool:
        return self.revoked_s is None and now_s < self.not_after_s


class Authority:
    """One folder, held for itself while it is open. Raises AuthorityError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            content = json.loads((folder / _REGISTER).read_bytes())
            self._name: str = content["name"]
            self._generations: dict[int, bool] = {
                int(number): good for number, good in content["generations"].items()
            }
            self.entries = [
                Entry(**{**row, "hosts": tuple(row["hosts"])}) for row in content["certificates"]
            ]
        except FileNotFoundError:
            raise AuthorityError(f"{folder}: no authority here; onecard ca init") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AuthorityError(f"{folder / _REGISTER}: cannot be read: {error!r}") from None

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator["Authority"]:
        """The authority in `folder`, while nobody else changes it."""
        with _locked(folder):
            authority = cls(folder)
            if not all((folder / name).exists() for name in (_TRUSTED, _REVOKED)):
                authority._publish()  # `create` was broken off
            yield authority

    @classmethod
    def create(cls, folder: Path, name: str, now_s: int) -> None:
        """A new authority of the given name in `folder`, which is made with mode 0700."""
        if not 1 <= len(name) <= 64 or not name.isprintable():
            raise AuthorityError("an authority's name has 1 to 64 characters")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder):
            if (folder / _REGISTER).exists():
                raise AuthorityError(f"{folder}: an authority is here already")
            _found(folder, 1, name, now_s)
            content = {"name": name, "generations": {"1": True}, "certificates": []}
            files.place(folder / _REGISTER, json.dumps(content).encode(), files.SECRET)
            cls(folder)._publish()

    def issue(
        self, name: Name, out: Path, now_s: int, *, days: int = 0, hosts: Sequence[str] = ()
    ) -> Entry:
        """A key and a certificate for `name`, in the folder `out`; its entry.

        Refused while a good one is out: two readers of one name would be in each other's way.
        """
        for entry in self.entries:
            if (entry.name, entry.kind) == _of(name) and entry.is_good(now_s):
                raise AuthorityError(
                    f"{name.text}: certificate {entry.serial} is still good: renew or revoke it"
                )
        return self._sign(name, out, now_s, days, hosts)

    def renew(self, name: Name, out: Path, now_s: int, *, days: int = 0) -> Entry:
        """A new key and certificate for `name`, in `out`; the one before stays good meanwhile."""
        known = [entry for entry in self.entries if (entry.name, entry.kind) == _of(name)]
        if not known:
            raise AuthorityError(f"{name.text}: never had a certificate: issue one")
        if known[-1].revoked_s is not None:
            raise AuthorityError(f"{name.text}: was revoked: issue a new one if it shall return")
        return self._sign(name, out, now_s, days, known[-1].hosts)

    def revoke(self, name: Name, now_s: int, *, but_newest: bool = False) -> list[Entry]:
        """Revoke all good certificates of `name`, or all but the newest; which those were.

        Writes crl.pem in any case: a run that was broken off is finished by the next.
        """
        good = [
            entry
            for entry in self.entries
            if (entry.name, entry.kind) == _of(name) and entry.is_good(now_s)
        ]
        gone = good[:-1] if but_newest else good
        for entry in gone:
            self.entries[self.entries.index(entry)] = replace(entry, revoked_s=now_s)
        self._write()
        self._publish()
        return gone

    def next_generation(self, now_s: int) -> int:
        """Add an authority, which signs from now on; its number."""
        number = max(self._generations) + 1
        _found(self._folder, number, self._name, now_s)
        self._generations[number] = True
        self._write()
        self._publish()
        return number

    def retire(self, number: int, now_s: int) -> None:
        """Trust an authority no longer; refused while certificates of it are good."""
        if not self._generations.get(number) or number == max(self._generations):
            raise AuthorityError(f"{number}: not an older authority that is still trusted")
        good = [e.name for e in self.entries if e.generation == number and e.is_good(now_s)]
        if good:
            raise AuthorityError(f"authority {number}: {len(good)} are still good, as {good[0]}")
        self._generations[number] = False
        self._write()
        self._publish()

    # --- the folder --------------------------------------------------------------------------

    def _sign(self, name: Name, out: Path, now_s: int, days: int, hosts: Sequence[str]) -> Entry:
        days = days or DAYS[name.kind]
        if not 1 <= days <= DAYS_MAX:
            raise AuthorityError(f"1 to {DAYS_MAX} days, not {days}")
        if out.exists() and any(out.iterdir()):
            raise AuthorityError(f"{out}: is not empty; nothing was issued")
        generation = max(self._generations)
        signer = self._signer(generation)
        # One that outlives its authority would end unannounced.
        end_s = int(signer.certificate.not_valid_after_utc.timestamp())
        not_after_s = min(now_s + days * DAY_S, end_s)
        if not_after_s <= now_s:
            raise AuthorityError(f"authority {generation} has expired: onecard ca next")
        key = certificates.new_key()
        certificate = certificates.issue(signer, name, hosts, key, not_after_s)
        serial = f"{certificate.serial_number:x}"
        entry = Entry(serial, *_of(name), tuple(hosts), generation, not_after_s)
        self.entries.append(entry)
        self._write()
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._deliver(name, out, certificate, key)
        return entry

    def _deliver(
        self, name: Name, out: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        pem = certificate.public_bytes(Encoding.PEM)
        files.place(out / "key.pem", certificates.key_bytes(key, Encoding.PEM), files.SECRET)
        files.place(out / "certificate.pem", pem, files.PUBLIC)
        files.place(out / _TRUSTED, (self._folder / _TRUSTED).read_bytes(), files.PUBLIC)
        if name.kind != READER:
            return
        # A reader takes DER, under these names in its NVS (firmware/boards/esp32_tls.py).
        der = Encoding.DER
        files.place(out / "tls_key", certificates.key_bytes(key, der), files.SECRET)
        files.place(out / "tls_cert", certificate.public_bytes(der), files.PUBLIC)
        for place, number in enumerate(self._trusted(), 1):
            trusted = self._signer(number).certificate.public_bytes(der)
            files.place(out / f"tls_ca{place}", trusted, files.PUBLIC)

    def _trusted(self) -> list[int]:
        return [number for number in sorted(self._generations, reverse=True) if self._good(number)]

    def _good(self, number: int) -> bool:
        return self._generations[number]

    def _signer(self, number: int) -> Signer:
        stem = self._folder / f"ca-{number}"
        try:
            certificate = x509.load_pem_x509_certificate(stem.with_suffix(".pem").read_bytes())
            key = load_pem_private_key(secret_files.read(stem.with_suffix(".key")), None)
        except SecretFileError as error:
            raise AuthorityError(str(error)) from None
        except (OSError, ValueError, TypeError) as error:
            raise AuthorityError(f"{stem}: {type(error).__name__}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{stem}.key: not an EC key")
        return Signer(certificate, key)

    def _write(self) -> None:
        content = {
            "name": self._name,
            "generations": {str(number): good for number, good in self._generations.items()},
            "certificates": [asdict(entry) for entry in self.entries],
        }
        files.replace(self._folder / _REGISTER, json.dumps(content).encode(), files.SECRET)

    def _publish(self) -> None:
        """Write ca.pem and crl.pem anew from the register."""
        signers = {number: self._signer(number) for number in self._trusted()}
        trusted = [signer.certificate.public_bytes(Encoding.PEM) for signer in signers.values()]
        files.replace(self._folder / _TRUSTED, b"".join(trusted), files.PUBLIC)
        lists = [
            certificates.revocations(signer, self._revoked(number)).public_bytes(Encoding.PEM)
            for number, signer in signers.items()
        ]
        files.replace(self._folder / _REVOKED, b"".join(lists), files.PUBLIC)

    def _revoked(self, generation: int) -> list[tuple[int, int]]:
        return [
            (int(entry.serial, 16), entry.revoked_s)
            for entry in self.entries
            if entry.generation == generation and entry.revoked_s is not None
        ]


def _of(name: Name) -> tuple[str, str]:
    return name.text, name.kind


def _found(folder: Path, number: int, name: str, now_s: int) -> None:
    """Write a new authority's key and certificate: over one that no register knows of."""
    signer = certificates.authority(f"{name} {number}", now_s + AUTHORITY_DAYS * DAY_S)
    stem = folder / f"ca-{number}"
    key = certificates.key_bytes(signer.key, Encoding.PEM)
    files.replace(stem.with_suffix(".key"), key, files.SECRET)
    certificate = signer.certificate.public_bytes(Encoding.PEM)
    files.replace(stem.with_suffix(".pem"), certificate, files.PUBLIC)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(files.held(folder))
        except files.Busy:
            raise AuthorityError(f"{folder}: somebody else is at work here") from None
        except OSError as error:
            raise AuthorityError(f"{folder}: {error.strerror}") from None
        yield
