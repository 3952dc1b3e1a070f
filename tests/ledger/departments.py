"""Books with something in every table of ledger/department_schema.py."""

from ledger.door_log import DoorLog
from ledger.rosters import Place, Rosters, Shift

DOOR, SITE, WARDEN = 2009, "campus", "Wang Fang"
DAY = 20_783  # 2026-11-26, a Thursday
NOON_S = DAY * 86_400
EARLY = Shift("早班", DAY - 30, 31, 480, 1020, 5)
NIGHT = Shift("夜班", DAY - 30, 127, 1320, 1800, 0)
SPLIT = Shift("两头班", DAY - 30, 127, 360, 540, 0, ((960, 1200),))


def fill(store):
    """Shifts and who works in one, a grant that has ended, and a question about its door."""
    rosters = Rosters(store.database)
    for shift in EARLY, SPLIT:
        rosters.set_shift(shift, "li", NOON_S)
    rosters.place([(2, Place("P001", DAY, "保洁", "早班"))], "li", NOON_S)
    ((merchant_no,),) = store.database.rows("SELECT MIN(merchant_no) FROM merchant")
    store.register_device(DOOR, bytes(31) + b"\1", merchant_no, SITE)
    store.access.add_door(DOOR, "dorm", 5000, 0)
    store.access.appoint("appoint", SITE, "dorm", WARDEN, NOON_S)
    store.issue_cards([(70, 0)])
    store.access.grant(DOOR, 70, 1, 1, WARDEN, NOON_S, NOON_S + 60)
    store.access.end_grants(NOON_S + 60)
    DoorLog(store.database).ask(
        DOOR, (NOON_S, NOON_S + 60), "a wallet was found", WARDEN, NOON_S + 60
    )
