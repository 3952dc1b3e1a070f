"""Who we are to a broker, and which brokers we trust: TLS by Python's ssl, certificates by name.

The broker has to prove the host name by which it is dialled, under an authority of ours; we prove
our own name. Files are read anew for each connection, so a renewed certificate needs no restart.
That ours has expired never stops a process: the other link goes on, and this one says what is
wrong.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from adapters import secret_files
from adapters.secret_files import SecretFileError

LEDGER = "ledger"
# On one broker each has a name of its own: that is its client id, and one id is one connection.
LEDGERS = (LEDGER, *(f"{LEDGER}-{number}" for number in range(2, 5)))
DAY_S = 86_400
WARN_DAYS = 30
LOOK_S = 60


class IdentityError(Exception):
    """Our certificate, key or authorities cannot be used; the text has file and reason."""


def agent_name(site: str) -> str:
    """What an agent's certificate is made out to."""
    return f"{site}/agent"


@dataclass(frozen=True)
class Identity:
    """Files in PEM: the authorities we trust, our certificate, its key (mode 0600); our name."""

    ca: Path
    certificate: Path
    key: Path
    name: str

    def check(self) -> None:
        """IdentityError if this is not ours, or does not fit together; not if it has expired."""
        certificate = self._certificate()
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if [name.value for name in names] != [self.name]:
            found = ", ".join(str(name.value) for name in names) or "nobody"
            raise IdentityError(f"{self.certificate}: is {found}'s, not {self.name}'s")
        try:
            key = load_pem_private_key(secret_files.read(self.key), None)
        except SecretFileError as error:
            raise IdentityError(str(error)) from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise IdentityError(f"{self.key}: not a key in PEM without a password") from None
        if key.public_key() != certificate.public_key():
            raise IdentityError(f"{self.key}: not the key of {self.certificate}")
        if not any(_has_signed(ca, certificate) for ca in self._authorities()):
            raise IdentityError(f"{self.certificate}: no authority in {self.ca} has signed it")

    def days_left(self, now_s: int) -> int:
        """Whole days until our certificate ends, negative once it has. IdentityError."""
        return days_between(now_s, self.end_s())

    def end_s(self) -> int:
        """When our certificate ends. IdentityError."""
        return _end_s(self._certificate())

    def authority_end_s(self) -> int:
        """When the authority ends that has signed our certificate. IdentityError."""
        certificate = self._certificate()
        ends_s = [_end_s(ca) for ca in self._authorities() if _has_signed(ca, certificate)]
        if not ends_s:
            raise IdentityError(f"{self.certificate}: no authority in {self.ca} has signed it")
        return max(ends_s)

    def context(self) -> ssl.SSLContext:
        """What a connection needs: TLS 1.2 or later, host name checked. IdentityError."""
        self.check()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.ca)
            context.load_cert_chain(self.certificate, self.key, _no_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", "") or type(error).__name__
            raise IdentityError(f"{self.certificate}: {reason}") from None
        return context

    def _certificate(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except OSError as error:
            raise IdentityError(f"{self.certificate}: {error.strerror}") from None
        except ValueError:
            raise IdentityError(f"{self.certificate}: not a certificate in PEM") from None

    def _authorities(self) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(self.ca.read_bytes())
        except OSError as error:
            raise IdentityError(f"{self.ca}: {error.strerror}") from None
        except ValueError:
            raise IdentityError(f"{self.ca}: no certificates in PEM") from None


def days_between(now_s: int, end_s: int) -> int:
    """Whole days from `now_s` until `end_s`, negative once that has passed."""
    return (end_s - now_s) // DAY_S


def peer_end_s(certificate: bytes) -> int:
    """When a certificate (DER) ends that somebody has shown us. IdentityError."""
    try:
        return _end_s(x509.load_der_x509_certificate(certificate))
    except ValueError:
        raise IdentityError("what it has shown is no certificate") from None


class CertificateWatch:
    """Tells once a day that the certificate of `link` ends within WARN_DAYS, or has ended."""

    def __init__(self, link: str, identity: Identity) -> None:
        self.link = link
        self._identity = identity
        self._told: int | None = None
        self._looked_s = -LOOK_S

    def news(self, now_s: int) -> int | None:
        """Days that are left, if that is news; None else. Looks at the file once a minute."""
        if 0 <= now_s - self._looked_s < LOOK_S:
            return None
        self._looked_s = now_s
        try:
            days = self._identity.days_left(now_s)
        except IdentityError:
            return None  # the link itself says what is wrong
        if days >= WARN_DAYS or days == self._told:
            return None
        self._told = days
        return days


def _end_s(certificate: x509.Certificate) -> int:
    return int(certificate.not_valid_after_utc.timestamp())


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _no_password() -> NoReturn:
    # Without this OpenSSL would stop the loop and ask on a terminal.
    raise ValueError("a password is needed")
