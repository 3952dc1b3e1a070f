"""Money is integer fen; these are its only two ways in and out as text."""

FEN_MAX = 99999999


def parse_yuan(text):
    """Fen of "12", "12.5" or "12.50"; None for anything that is not an amount of money."""
    yuan, point, fen = text.partition(".")
    if not _is_digits(yuan) or len(yuan) > 6 or len(fen) > 2 or (point and not _is_digits(fen)):
        return None
    return int(yuan) * 100 + int((fen + "00")[:2])


def format_yuan(amount_fen):
    """Fen as "12.50"; negative amounts with a leading minus."""
    sign = "-" if amount_fen < 0 else ""
    amount_fen = abs(amount_fen)
    return "%s%d.%02d" % (sign, amount_fen // 100, amount_fen % 100)


def _is_digits(text):
    return len(text) > 0 and all(char in "0123456789" for char in text)
