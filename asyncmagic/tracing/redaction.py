"""Redaction: keys stay out of whatever a trace says, also where a server's error message echoes one."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"

_LOOKS_SECRET = re.compile(
    r"""
      (?<![A-Za-z0-9])(?:sk|pk|rk|gsk|pplx|xai|hf|nvapi|r8|fw|csk|ghp|gho|github_pat|glpat|xox[abp]|tvly)[-_][\w*.-]{8,}
    | AIza[\w-]{10,} | AKIA[A-Z0-9]{12,} | ya29\.[\w.-]+
    | eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*
    | (?<=bot)\d{6,}:[\w-]{20,}
    | (?i:(?<=bearer\ )|(?<=basic\ ))[\w.~+/*=-]{6,}
    | (?i:(?<=[?&]key=)|(?<=api.key=)|(?<=apikey=)|(?<=token=)|(?<=secret=)|(?<=password=)|(?<=signature=))[^&\s'"]+
    | (?<=://)[^/\s@]+(?=@)
    """,
    re.VERBOSE,
)
_MOST = 64
_known: dict[str, None] = {}


def remember_secrets(values: Iterable[str]) -> None:
    """Mask these exact values from now on; the newest few dozen are known, those under 6 characters are not."""
    for value in values:
        if len(value) >= 6:
            _known.pop(value, None)
            _known[value] = None
    while len(_known) > _MOST:
        del _known[next(iter(_known))]


def redact(text: str) -> str:
    """Return the text with everything masked that is known to be a secret or looks like a key."""
    for value in tuple(_known):
        if value in text:
            text = text.replace(value, MASK)
    return _LOOKS_SECRET.sub(MASK, text)
