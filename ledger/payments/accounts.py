"""Accounts at a bank, as people type them: what none can be, and how one is shown."""

from ledger.payments.kinds import Kind

NAME_CHARS_MAX = 64
_FORMULA = "=+-@"  # what a spreadsheet would take for one
_UNIONPAY = "62"  # a card number that begins so has a check digit


def check_account(kind: Kind, account_no: str, name: str) -> None:
    """The kind's refusal if no bank can have this account; the text does not repeat it."""
    least, most = kind.account_digits
    is_digits = account_no.isascii() and account_no.isdigit()
    if not is_digits or not least <= len(account_no) <= most:
        raise kind.refused(f"an account has {least} to {most} digits", kind.no_account)
    if kind.are_cards and account_no.startswith(_UNIONPAY) and not _has_check_digit(account_no):
        text = "an account's check digit is wrong: somebody has mistyped it"
        raise kind.refused(text, kind.no_account)
    is_name = 0 < len(name) <= NAME_CHARS_MAX and name.isprintable() and name == name.strip()
    if not is_name or name[0] in _FORMULA:
        text = f"an account's owner has a name of 1 to {NAME_CHARS_MAX} characters"
        raise kind.refused(text, kind.no_account)


def masked(account_no: str) -> str:
    """As much of an account as a screen may show."""
    return f"an account that ends in {account_no[-4:]}"


def _has_check_digit(digits: str) -> bool:
    """ISO/IEC 7812-1: doubled from the right, every second digit; the sum ends in 0."""
    doubled = [2 * int(digit) for digit in digits[-2::-2]]
    own = [int(digit) for digit in digits[-1::-2]]
    return (sum(own) + sum(value // 10 + value % 10 for value in doubled)) % 10 == 0
