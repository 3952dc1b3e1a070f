"""Block one card at all doors, now (保卫部值班; R14.2, R15.2).

It is the verb `suspend` of the life of a card: the next map bars it at every door and POS. A door
with a network has that within seconds; a lock without one hears it on the next card or handheld
that comes along, so those that cannot know it yet are named.
"""

from ledger import door_states, people, privacy
from ledger.card_status import CardRefused
from ledger.console.asked import Asked, Page, Refused, Shown
from ledger.console.batteries import DOORS_MAX
from ledger.console.doors import column, number_of
from ledger.console.refusals import BAD_FIELDS
from ledger.console.texts import Texts
from ledger.lifecycle import COUNTER, DEPARTMENT, SECURITY, Act
from ledger.signatures import NotAllowed
from protocols.rules.card_status import ACTIVE, CLOSED, LOST, SUSPENDED

# What was seen, as one word of the books: (Chinese, English).
CAUSES = {
    "danger": ("人身危险", "danger to somebody"),
    "theft": ("盗窃或失物", "theft or a stolen card"),
    "misuse": ("借给他人、冒用", "used by another person"),
    "police": ("公安机关要求", "the police asks for it"),
}
SHOWN = 200
_ROLES = (people.WARDEN, people.GUARD)
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
_SINCE = """
SELECT time_s FROM card_change WHERE card_no = ? ORDER BY epoch DESC LIMIT 1"""


def show(asked: Asked) -> Shown:
    """The card that was typed, and what is so; without one the form alone."""
    typed = asked.fields.get("card_no") or asked.query.get("card", "")
    card_no = number_of(typed)
    is_there = card_no is not None and bool(
        list(asked.store.database.rows(_IS_ISSUED, (card_no,)))
    )
    context = {
        "typed": typed,
        "causes": [(word, text[column(asked)]) for word, text in CAUSES.items()],
        "is_there": is_there,
        "card": _card(asked, card_no) if is_there and card_no is not None else None,
    }
    return Shown("block.html", context)


def do(asked: Asked) -> str:
    """Suspend it, as somebody of security or of the dormitories."""
    card_no, cause = number_of(asked.fields.get("card_no", "")), asked.fields.get("cause", "")
    if card_no is None or cause not in CAUSES:
        raise Refused(BAD_FIELDS)
    role = SECURITY if people.GUARD in asked.roles else DEPARTMENT
    by = Act(role, COUNTER, cause, person=asked.person)
    asked.store.cards.set("suspend", card_no, asked.now_s, cause, by)
    return f"/block?card={card_no}&done=blocked"


def _card(asked: Asked, card_no: int) -> dict[str, object]:
    database = asked.store.database
    try:
        whose = privacy.show_holder(database, card_no)
    except NotAllowed:
        whose = None
    status = asked.store.cards.status(card_no)
    is_barred = status != ACTIVE
    since_s = next((row[0] for row in database.rows(_SINCE, (card_no,))), 0)
    untold = _untold(asked, since_s) if is_barred else []
    return {
        "card_no": card_no,
        "whose": whose,
        "status": status,
        "is_barred": is_barred,
        "since_s": since_s,
        "untold": untold[:SHOWN],
        "untold_count": len(untold),
    }


def _untold(asked: Asked, since_s: int) -> list[door_states.DoorState]:
    """Locks without a network that have not said that they have a map of later than then.

    One of that very second may have been made before it.
    """
    states = door_states.at(asked.store.database, "", DOORS_MAX)
    return [one for one in states if one.is_by_card and one.map_made_s <= since_s]


PAGES = (
    Page(
        "/block",
        ("立即停用一张卡", "Block a card"),
        show,
        roles=_ROLES,
        do=do,
        menu="menu_doors",
        access_key="x",
    ),
)
REFUSES = (CardRefused,)
TEXTS: Texts = {
    "block_look": ("查卡", "Look at it"),
    "block_none": ("账簿里没有这个卡号。", "There is no card of this number."),
    "block_state": ("现在的状态", "It is now"),
    "block_why": ("为什么停用", "Why"),
    "block_do": ("在所有门和消费机停用", "Block it at all doors and POS"),
    "block_hint": (
        "这张卡在所有门、消费机上都不能再用；要恢复，本人带证件到一卡通中心。",
        "No door and no POS takes it any more; its holder undoes that at the card centre.",
    ),
    "block_is": ("这张卡已不能开门。", "This card opens no door any more."),
    "block_since": ("从", "Since"),
    "block_untold": (
        "这些不联网的锁还不知道，请带手持机去，或等下一张卡带到：",
        "These locks without a network do not know yet; a handheld or the next card tells them:",
    ),
    "block_all_told": ("不联网的锁都已知道。", "Every lock without a network knows."),
    "block_online": (
        "联网的门几秒内收到；收到与否看各楼网关的页面。",
        "Doors with a network hear it within seconds; their agents' pages say so.",
    ),
    f"block_is_{ACTIVE}": ("能用", "in use"),
    f"block_is_{LOST}": ("已挂失", "reported lost"),
    f"block_is_{SUSPENDED}": ("已停用或中止", "suspended"),
    f"block_is_{CLOSED}": ("已注销", "closed"),
    "done_blocked": ("已停用", "It is blocked"),
}
