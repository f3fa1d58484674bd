"""What a mail says itself, and what it quotes of the mails before it.

By own rules, in time that grows with the text's length: the library for it that is kept up
(mail-parser-reply) took half a minute for 18 KB of `On On On …`. Where in doubt, text is shown.
"""

import re

LONGEST_LINE = 500
# Lines that a mail program may spread "On …, … wrote:" over, and the head of a quoted mail.
WRAPPED_LINES = 3
HEAD_LINES = 6

_WROTE = re.compile(
    r"^(?:On|Am|Le|El|Il|Em|Op|Den|Dnia|W dniu|Dne) .{4,400}"
    r"(?:wrote|schrieb[^:]{0,200}|a écrit|escribió|ha scritto|escreveu|schreef[^:]{0,200}|"
    r"geschreven|skrev[^:]{0,200}|napisał\(?a?\)?|napsal\(?a?\)?)\s?:$"
)
_DIVIDER = re.compile(
    r"^-{2,} ?(?:Original Message|Original Appointment|Ursprüngliche Nachricht|Message d'origine|"
    r"Message original|Mensaje original|Messaggio originale|Mensagem original|"
    r"Oorspronkelijk bericht|Forwarded message|Weitergeleitete Nachricht) ?-{2,}$",
    re.IGNORECASE,
)
_RULE = re.compile(r"^_{20,}$")
_FROM = re.compile(r"^\*?(?:From|Von|De|Da|Van|Från|Fra|Od):\*? ?\S", re.IGNORECASE)
_SENT = re.compile(
    r"^\*?(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado(?: el)?|Fecha|Inviato|Data|Verzonden|Skickat|"
    r"Sendt|Wysłano)(?: ?):\*? ?\S",
    re.IGNORECASE,
)
_TO = re.compile(
    r"^\*?(?:To|Cc|Subject|An|Betreff|À|Objet|Para|Asunto|Oggetto|Assunto|Aan|Onderwerp|Till|Til|"
    r"Ämne|Emne|Do|Temat|A)(?: ?):\*? ?\S",
    re.IGNORECASE,
)


def split_quoted(text: str) -> tuple[str, str]:
    """The text in two: (what is new, what is quoted); all of it is new where nothing else is."""
    lines = [line.rstrip() for line in text.split("\n")]
    runs = _find_runs(lines)
    # Answers between the quoted lines make no sense without them.
    quoted = runs if len(runs) == 1 else [run for run in runs if _is_at_end(lines, run)]
    if not quoted:
        return _join(lines), ""
    start, end = quoted[-1]
    new = _join([*lines[:start], *lines[end:]])
    return (new, _join(lines[start:end])) if new else (_join(lines), "")


def _find_runs(lines: list[str]) -> list[tuple[int, int]]:
    """Where quotations begin and end, each with the line that says whose it is."""
    runs: list[tuple[int, int]] = []
    index = 0
    while index < len(lines):
        if lines[index].startswith(">"):
            end = _end_of_marks(lines, index)
            runs.append((index, end))
            index = end
        elif wrapped := _count_introduction(lines, index):
            after = _skip_blank(lines, index + wrapped)
            # Without marks there is nothing to see where it ends.
            is_marked = after < len(lines) and lines[after].startswith(">")
            end = _end_of_marks(lines, after) if is_marked else len(lines)
            runs.append((index, end))
            index = end
        else:
            index += 1
    return runs


def _count_introduction(lines: list[str], index: int) -> int:
    """How many lines from here say that a quotation follows; 0 if they do not."""
    line = lines[index][:LONGEST_LINE].strip()
    if not line:
        return 0
    if _DIVIDER.match(line):
        return 1
    if _RULE.match(line):
        after = _skip_blank(lines, index + 1)
        return 1 if after < len(lines) and _is_head(lines, after) else 0
    if _FROM.match(line):
        return 1 if _is_head(lines, index) else 0
    for count in range(1, WRAPPED_LINES + 1):
        joined = " ".join(part[:LONGEST_LINE].strip() for part in lines[index : index + count])
        if joined.endswith(":") and _WROTE.match(joined[:LONGEST_LINE]):
            return count
    return 0


def _is_head(lines: list[str], index: int) -> bool:
    """Whether this is the head of a mail as Outlook quotes it."""
    head = [line[:LONGEST_LINE].strip() for line in lines[index : index + HEAD_LINES]]
    return bool(
        _FROM.match(head[0])
        and any(_SENT.match(line) for line in head)
        and any(_TO.match(line) for line in head)
    )


def _end_of_marks(lines: list[str], start: int) -> int:
    end = start
    for index in range(start, len(lines)):
        if lines[index].startswith(">"):
            end = index + 1
        elif lines[index]:
            break
    return end


def _skip_blank(lines: list[str], index: int) -> int:
    while index < len(lines) and not lines[index]:
        index += 1
    return index


def _is_at_end(lines: list[str], run: tuple[int, int]) -> bool:
    return not any(lines[run[1] :])


def _join(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n ")
