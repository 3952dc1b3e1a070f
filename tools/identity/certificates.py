"""X.509 of our authority, by `cryptography`: EC P-256, SHA-256, and no lower bound in time.

NOT_BEFORE is where clocks begin. A reader whose clock was never set stands in 2000, learns the
time only from the ledger, and could never connect to hear it if a certificate began later. A lower
bound protects nothing: no certificate exists before it was made. For the same reason a revocation
list never goes out of date by itself: a broker with an old one still knows what it knew, where an
expired one would turn away everybody.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.identity.names import BROKER, Name, address

NOT_BEFORE = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_USAGE = ("digital_signature", "key_cert_sign", "crl_sign")
_NO_USAGE = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class Signer:
    """An authority that can sign: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key from the system's randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def key_bytes(key: ec.EllipticCurvePrivateKey, encoding: Encoding) -> bytes:
    """The key as PKCS #8, not encrypted: its file's mode is what guards it."""
    return key.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())


def authority(name: str, not_after_s: int) -> Signer:
    """A new authority that trusts itself."""
    key = new_key()
    subject = _subject(name)
    builder = _builder(subject, subject, key, not_after_s)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(_USAGE[1:]), critical=True)
    return Signer(builder.sign(key, hashes.SHA256()), key)


def issue(
    signer: Signer,
    name: Name,
    hosts: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    not_after_s: int,
) -> x509.Certificate:
    """A certificate for `name`; of a broker, for its `hosts` too.

    A broker's serves nobody as a client, and a client's is no broker's: a stolen reader cannot
    stand in for the broker of its building.
    """
    builder = _builder(_subject(name.text), signer.certificate.subject, key, not_after_s)
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    if name.kind == BROKER:
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        alternatives = x509.SubjectAlternativeName([_host(host) for host in (name.text, *hosts)])
        builder = builder.add_extension(alternatives, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_key_usage(_USAGE[:1]), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return builder.add_extension(issuer, critical=False).sign(signer.key, hashes.SHA256())


def revocations(
    signer: Signer, revoked: Sequence[tuple[int, int]]
) -> x509.CertificateRevocationList:
    """The list of (serial, when in UTC seconds) that this authority has revoked; good for ever.

    What is revoked stays in it, so its number grows with its length.
    """
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=signer.certificate.subject,
        last_update=NOT_BEFORE,
        next_update=signer.certificate.not_valid_after_utc,
    )
    for serial, at_s in revoked:
        entry = x509.RevokedCertificateBuilder(serial, _time(at_s)).build()
        builder = builder.add_revoked_certificate(entry)
    builder = builder.add_extension(x509.CRLNumber(len(revoked) + 1), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return builder.add_extension(issuer, critical=False).sign(signer.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, not_after_s: int
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOT_BEFORE).not_valid_after(_time(not_after_s))
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(own, critical=False)


def _subject(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    number = address(text)
    return x509.IPAddress(number) if number else x509.DNSName(text)


def _key_usage(granted: Iterable[str]) -> x509.KeyUsage:
    words = set(granted)
    return x509.KeyUsage(**{word: word in words for word in (*_USAGE, *_NO_USAGE)})


def _time(at_s: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)
