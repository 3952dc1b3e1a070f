"""Lists: cards issued or closed many at a time, under two signatures (R12.2, R15.4).

The file stays with whoever has it: each of the three steps opens it anew, and its hash says that
it is the same. So the second person has looked at the list too, and the console keeps no accounts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger import declines, names
from ledger.batches import SIGNATURES, Finding, Plan
from ledger.console.asked import Asked, Page, Refused, Shown, ToSign, Waiting
from ledger.console.refusals import BAD_FIELDS, Words
from ledger.console.texts import Texts
from ledger.list_files import COLUMNS, BadList, read

PATH = "/lists"
NO_FILE = 783
LOOK, SIGN, RUN = "look", "sign", "run"
FINDINGS_MAX = 200
_KNOWN_MAX = 30
_KNOWN = """
SELECT b.sha256, b.kind, b.time_s,
    (SELECT COUNT(*) FROM batch_approval a WHERE a.sha256 = b.sha256),
    (SELECT COUNT(*) FROM batch_line l WHERE l.sha256 = b.sha256),
    (SELECT COUNT(*) FROM batch_done d WHERE d.sha256 = b.sha256)
FROM card_batch b ORDER BY b.time_s DESC, b.sha256 LIMIT ?"""
_WAITING = """
SELECT COUNT(*) FROM card_batch b
WHERE ? = (SELECT COUNT(*) FROM batch_approval a WHERE a.sha256 = b.sha256)
AND NOT EXISTS (SELECT 1 FROM batch_done d WHERE d.sha256 = b.sha256)"""
_TO_SIGN = """
SELECT a.sha256, b.kind, a.person, a.time_s FROM batch_approval a
JOIN card_batch b ON b.sha256 = a.sha256 WHERE a.person <> ? AND a.step = 1
AND NOT EXISTS (SELECT 1 FROM batch_approval n WHERE n.sha256 = a.sha256 AND n.step = 2)
ORDER BY a.time_s"""


@dataclass(frozen=True, slots=True)
class Known:
    """A list that somebody has signed."""

    sha256: bytes
    kind: str
    time_s: int
    signatures: int
    lines: int
    done: int


def show(asked: Asked) -> Shown:
    return _page(asked)


def work(asked: Asked) -> Shown:
    """Look at a list, sign what was looked at, or do what two have signed."""
    kind, step = asked.fields.get("kind", ""), asked.fields.get("step", LOOK)
    if kind not in COLUMNS or step not in (LOOK, SIGN, RUN):
        raise Refused(BAD_FIELDS, "kind, step")
    file = asked.files.get("file")
    if file is None or not file.data:
        raise Refused(NO_FILE)
    try:
        lines, file_sha256 = read(file.data, kind)
    except BadList as error:
        raise Refused(BAD_FIELDS, str(error)) from None
    batches, done = asked.store.batches, None
    if step != LOOK:
        what = kind, lines, file_sha256, _hash(asked)
        if step == SIGN:
            batches.sign(*what, asked.person, asked.now_s)
        else:
            done = batches.run(*what, asked.person, asked.now_s)
    if done is not None:
        return _page(asked, kind, step, done=done)
    return _page(asked, kind, step, batches.dry_run(kind, lines, file_sha256))


def _hash(asked: Asked) -> bytes:
    try:
        return bytes.fromhex(asked.fields.get("sha256", ""))
    except ValueError:
        raise Refused(BAD_FIELDS, "sha256") from None


def _page(
    asked: Asked,
    kind: str = "",
    step: str = "",
    plan: Plan | None = None,
    done: list[Finding] | None = None,
) -> Shown:
    findings = list(plan.findings) if plan else done or []
    bad = [one for one in findings if one.reason]
    signed = asked.store.batches.signatures(plan.sha256) if plan else []
    cards = [one.card_no for one in bad[:FINDINGS_MAX]]
    cards += plan.missing[:FINDINGS_MAX] if plan else ()
    context = {
        "names": names.masked_names(asked.store.database, cards),
        "kinds": COLUMNS,
        "kind": kind,
        "step": step,
        "plan": plan,
        "done": done,
        "count": len(findings),
        "bad": bad[:FINDINGS_MAX],
        "bad_count": len(bad),
        "told": _told(asked, bad),
        "missing": plan.missing[:FINDINGS_MAX] if plan else (),
        "signed": signed,
        "following": _following(asked, signed) if plan else "",
        "known": [Known(*row) for row in asked.store.database.rows(_KNOWN, (_KNOWN_MAX,))],
        "declined": declines.all_declined(asked.store.database, declines.BATCH),
    }
    return Shown("lists.html", context)


def _told(asked: Asked, bad: list[Finding]) -> dict[int, str]:
    """Why lines are left, in words, by number."""
    from ledger.console.pages import told  # which has this page

    return {one.reason: told(one.reason, asked.language).text for one in bad}


def _following(asked: Asked, signed: list[str]) -> str:
    """The step that whoever asks may take next; "": none."""
    if len(signed) >= SIGNATURES:
        return RUN if asked.may("batch.run") else ""
    verb = "batch.approve" if signed else "batch.sign"
    return SIGN if asked.may(verb) and str(asked.person) not in signed else ""


def _waiting(asked: Asked) -> Iterator[Waiting]:
    """Lists that one has signed, and lists that two have."""
    yield Waiting("waits_batch_approve", len(list(_to_sign(asked))), "/waiting")
    if asked.may("batch.run"):
        ((count,),) = asked.store.database.rows(_WAITING, (SIGNATURES,))
        yield Waiting("waits_batch_run", count, PATH)


def _to_sign(asked: Asked) -> Iterator[ToSign]:
    """Lists that another person has signed, and nobody has declined."""
    if not asked.may("batch.approve"):
        return
    database = asked.store.database
    declined = declines.all_declined(database, declines.BATCH)
    for sha256, kind, person, time_s in list(database.rows(_TO_SIGN, (str(asked.person),))):
        subject = bytes(sha256).hex()
        if subject not in declined:
            what = f"list_{kind}", subject, person, time_s, ""
            yield ToSign(*what, PATH, declines.BATCH)


PAGES = (
    Page(
        PATH,
        ("批量开卡与毕业", "Lists of cards"),
        show,
        verbs=("batch.sign", "batch.approve", "batch.run"),
        do=work,
        menu="menu_cards",
        is_once=False,
        takes_files=True,
    ),
)
WAITING, TO_SIGN = (_waiting,), (_to_sign,)
REASONS = {
    NO_FILE: Words(
        ("没有选文件", "no file was chosen"),
        ("请选择 xlsx 或 CSV 文件。", "Choose an xlsx or CSV file."),
        422,
    ),
}
TEXTS: Texts = {
    "list_kind": ("名单种类", "Kind of list"),
    "list_issue": ("批量开卡", "issue"),
    "list_graduation": ("毕业离校", "graduation"),
    "list_file": ("名单文件（xlsx 或 CSV）", "File (xlsx or CSV)"),
    "list_same_file": ("再选一次同一个文件", "The same file once more"),
    "list_columns": ("表头", "Columns"),
    "list_look": ("核对（不改动）", "Look at it; nothing is done"),
    "list_sign": ("签字", "Sign it"),
    "list_run": ("办理", "Do it"),
    "list_would": ("核对结果", "What would be done"),
    "list_was": ("办理结果", "What was done"),
    "list_count": ("共几行", "Lines"),
    "list_bad": ("其中不能办的", "Of them contradicted"),
    "list_line": ("行", "Line"),
    "list_missing": ("名册里同时到期、名单里没有的卡", "Leaving too, and not in the list"),
    "list_signed": ("已签字", "Signed by"),
    "list_sum": ("这些卡上和待领的钱", "On these cards, and waiting for them"),
    "list_known": ("签过字的名单", "Lists that were signed"),
    "sign_list_issue": ("批量开卡名单", "list of cards to issue"),
    "sign_list_graduation": ("毕业离校名单", "list of who graduates"),
    "list_done": ("已办", "Done"),
    "list_hash": ("校验值", "Hash"),
    "waits_batch_approve": ("份名单等您复核签字", "lists wait for the second signature"),
    "waits_batch_run": ("份名单已签好，可以办理", "lists are signed and may be done"),
}
