"""What is handed out of the folder: files for whoever needs a key, each whole or not there at all.

card     the card centre's key file (tools/card/keyfile.py), for `onecard card`
credit   the master of credit keys alone, for the ledger (`credit_key_file`)
site     a site's kit (site_kit.py), for whoever provisions its readers
update   an Ed25519 key in PEM and beside it its public one (.pub), for `onecard firmware`
ledger   the seed that receipts are signed with (`signing_key_file`), and its public key (.pub)
"""

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tools.identity import files
from tools.keys import site_kit
from tools.keys.vault import KeysError, Vault


def export(vault: Vault, kind: str, name: str, generation: int, out: Path, part: str) -> str:
    """Write what `kind` is to `out`, which must not be there; what was written, in a line.

    `part` is of site_kit.CARD_PARTS: how much a site's readers hold. KeysError.
    """
    if kind not in _EXPORTS:
        raise KeysError(f"{kind}: is not handed out; what is: {', '.join(_EXPORTS)}")
    if bool(name) != (kind in ("site", "update")):
        raise KeysError(f"{kind}: " + ("there is only one" if name else "give a name"))
    public = out.with_suffix(".pub")
    secret, beside, said = _EXPORTS[kind](vault, name, generation, part)
    if beside and out == public:
        raise KeysError(f"{out}: is the name of its public half; take another one")
    if out.exists() or (beside and public.exists()):
        raise KeysError(f"{out}: is there already, or {public.name} beside it")
    try:
        # The public half first: a key without it would be handed out and not be known.
        if beside:
            files.deliver(public, beside, files.PUBLIC)
        files.deliver(out, secret, files.SECRET)
    except OSError as error:
        if beside and not out.exists():
            public.unlink(missing_ok=True)
        raise KeysError(f"{out}: {error.strerror}; nothing was handed out") from None
    return f"{out}: {said}"


def _card(vault: Vault, _name: str, generation: int, _part: str) -> tuple[bytes, bytes, str]:
    version, masters = vault.card(generation)
    lines = [f'{purpose}_key = "{key.hex()}"' for purpose, key in masters.items()]
    text = "\n".join([*lines, f"key_version = {version}", ""])
    return text.encode(), b"", f"keys of cards, version {version}"


def _credit(vault: Vault, _name: str, generation: int, _part: str) -> tuple[bytes, bytes, str]:
    version, masters = vault.card(generation)
    return masters["credit"].hex().encode() + b"\n", b"", f"credit key, version {version}"


def _site(vault: Vault, name: str, generation: int, part: str) -> tuple[bytes, bytes, str]:
    keys = vault.site(name, generation)
    version, masters = vault.card()
    card = {f"{purpose}_key": masters[purpose] for purpose in site_kit.CARD_PARTS[part]}
    before = vault.card_before(version)
    for purpose in ("purse", "mac"):
        if before:
            card[f"previous_{purpose}_key"] = before[purpose]
    text = site_kit.encode(keys, version, card)
    said = f"kit of {name}, generation {keys.generation}, with cards of version {version}"
    return text, b"", said


def _update(vault: Vault, name: str, generation: int, _part: str) -> tuple[bytes, bytes, str]:
    key = Ed25519PrivateKey.from_private_bytes(vault.seed("update", name, generation))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem, public, f"key of releases {name}"


def _ledger(vault: Vault, _name: str, generation: int, _part: str) -> tuple[bytes, bytes, str]:
    seed = vault.seed("ledger", "", generation)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return seed.hex().encode() + b"\n", raw.hex().encode() + b"\n", "signing key of the ledger"


_EXPORTS: dict[str, Callable[[Vault, str, int, str], tuple[bytes, bytes, str]]] = {
    "card": _card,
    "credit": _credit,
    "site": _site,
    "update": _update,
    "ledger": _ledger,
}
