"""What comes with a form: its fields and files, within bounds. Raises Refused."""

import asyncio

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from ledger.console.asked import File, Refused
from ledger.console.refusals import BAD_FIELDS, TOO_LARGE

FORM_BYTES_MAX, FILES_BYTES_MAX = 64 * 1024, 8 * 1024 * 1024
BODY_S, FILES_S = 5.0, 30.0
_FIELDS_MAX, _FILES_MAX = 256, 4


async def read(request: Request, takes_files: bool) -> tuple[dict[str, str], dict[str, File]]:
    """(fields, files) of a form; none of them twice."""
    data = await _bytes(request, takes_files)
    fields: dict[str, str] = {}
    files: dict[str, File] = {}
    most = _FILES_MAX if takes_files else 0
    try:
        found = await Request(request.scope, _again(data)).form(
            max_files=most, max_fields=_FIELDS_MAX, max_part_size=FORM_BYTES_MAX
        )
        for name, value in found.multi_items():
            if not is_text(name) or (isinstance(value, str) and not is_text(value)):
                raise Refused(BAD_FIELDS)
            if name in fields or name in files:
                raise Refused(BAD_FIELDS, name)
            if isinstance(value, UploadFile):
                files[name] = File(value.filename or "", await value.read())
            else:
                fields[name] = value
    except HTTPException:  # what the parser says of a form that is none
        raise Refused(BAD_FIELDS) from None
    return fields, files


def is_text(said: str) -> bool:
    """Whether each database takes it: PostgreSQL no NUL, and neither half a character."""
    try:
        return b"\0" not in said.encode()
    except UnicodeEncodeError:
        return False


async def _bytes(request: Request, takes_files: bool) -> bytes:
    most = FILES_BYTES_MAX if takes_files else FORM_BYTES_MAX
    data = bytearray()
    try:
        async with asyncio.timeout(FILES_S if takes_files else BODY_S):
            async for chunk in request.stream():
                data += chunk
                if len(data) > most:
                    raise Refused(TOO_LARGE)
    except (TimeoutError, ClientDisconnect):
        raise Refused(BAD_FIELDS) from None
    return bytes(data)


def _again(data: bytes):  # noqa: ANN202 - an ASGI `receive`
    async def receive() -> Message:
        return {"type": "http.request", "body": data, "more_body": False}

    return receive
