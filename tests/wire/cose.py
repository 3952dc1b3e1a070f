"""Our seals as pycose reads them: an independent COSE."""

import cbor2
from pycose.keys import OKPKey, SymmetricKey
from pycose.keys.curves import Ed25519
from pycose.messages import Mac0Message, Sign1Message


def _decoded(kind, data):
    """`data` as a message of pycose; cbor2 6 gives immutable values in tags, which it refuses."""
    tagged = cbor2.loads(data)
    assert tagged.tag == kind.cbor_tag
    protected, unprotected, payload, tag = tagged.value
    return kind.from_cose_obj([protected, dict(unprotected), payload, tag], True)


def mac0(data, key, aad):
    """A COSE_Mac0, ready to verify_tag()."""
    message = _decoded(Mac0Message, data)
    message.key = SymmetricKey(k=key)
    message.external_aad = aad
    return message


def sign1(data, public_key, aad):
    """A COSE_Sign1 of Ed25519, ready to verify_signature()."""
    message = _decoded(Sign1Message, data)
    message.key = OKPKey(crv=Ed25519, x=public_key)
    message.external_aad = aad
    return message
