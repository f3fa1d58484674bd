"""Payment card numbers in a text: an issuer's first digits, its length, and the Luhn check.

All three, for ids and times are numbers too. Sources: ISO/IEC 7812-1 (first digits, check digit)
and what the networks publish of their ranges.
"""

import re

# Together, or in groups as cards have them, with one and the same sign between.
CARD = re.compile(
    # No fraction, no telephone number, no part of a word, an id or a hash.
    # Its first digit stands first, which is quick to look for.
    r"[0-9]"
    r"(?:(?<![A-Za-z0-9_+].)(?<![0-9][.-].)|(?<=\\[nrt].)|(?<=%[0-9A-Fa-f]{2}.))"
    r"(?:[0-9]{12,18}|[0-9]{3}([ .\u00a0-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{3}([ .\u00a0-])[0-9]{6}\2[0-9]{4,5})"
    r"(?![A-Za-z0-9_])(?![.-][0-9])"
)
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}"  # Discover
    r"|(?:30[0-5]\d|3095|36\d\d|3[89]\d\d)\d{10}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14}(?:\d{3})?"  # UnionPay
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{12}"  # Maestro
    r"|220[0-4]\d{12}",  # Mir
    re.ASCII,
)
SHOWN_DIGITS = 4


def is_card_number(text: str) -> bool:
    """Whether this, signs between its digits left out, could be the number of a card."""
    digits = re.sub(r"[^0-9]", "", text)
    return bool(_ISSUED.fullmatch(digits)) and _passes_luhn(digits)


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
