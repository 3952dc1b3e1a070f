"""The books of merchants and their readers (R16 to R22), in one place."""

from ledger.dialect import Dialect
from ledger.dossiers import Dossiers
from ledger.drills import Drills
from ledger.duties import Duties
from ledger.onboarding import Onboarding
from ledger.tickets import Tickets


class Merchants:
    """What each of these says it may raise; nothing is kept here."""

    def __init__(self, database: Dialect) -> None:
        self.dossiers = Dossiers(database)
        self.onboarding = Onboarding(database)
        self.duties = Duties(database)
        self.drills = Drills(database)
        self.tickets = Tickets(database)
