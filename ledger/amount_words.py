"""An amount of money in the words that banks and auditors want (人民币大写).

Source: the rules for filling in bills, annex 1 of 支付结算办法 (银发〔1997〕393号): 整 (in full)
behind yuan, none behind fen; behind jiao it may be left out, and is. Of zeros that follow each
other one is said. Where the yuan end in zeros and jiao follow, the zero may be left out, and is.
"""

_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("仟", "佰", "拾", "")
_SECTIONS = ("亿", "万", "")  # of four digits each
FEN_MAX = 99_999_999_999_999  # 9999 亿 of yuan and some


def in_words(amount_fen: int) -> str:
    """1680_32 -> 壹仟陆佰捌拾元叁角贰分. ValueError beyond FEN_MAX either way."""
    if abs(amount_fen) > FEN_MAX:
        raise ValueError(f"{amount_fen} fen are more than can be said")
    yuan, rest = divmod(abs(amount_fen), 100)
    jiao, fen = divmod(rest, 10)
    words = "负" if amount_fen < 0 else ""
    if yuan or not rest:
        words += (_whole(yuan) or _DIGITS[0]) + "元"
    if not rest:
        return words + "整"
    if jiao:
        words += _DIGITS[jiao] + "角"
    elif yuan:
        words += _DIGITS[0]
    return words + (_DIGITS[fen] + "分" if fen else "")


def _whole(number: int) -> str:
    """A number above 0 without its unit; 0 is nothing."""
    words, is_zero_due = "", False
    text = f"{number:012d}"
    for at, section in enumerate(_SECTIONS):
        digits = text[4 * at : 4 * at + 4]
        for digit, place in zip(digits, _PLACES, strict=True):
            if digit == "0":
                is_zero_due = bool(words)
                continue
            words += (_DIGITS[0] if is_zero_due else "") + _DIGITS[int(digit)] + place
            is_zero_due = False
        if digits != "0000":
            words += section
    return words
