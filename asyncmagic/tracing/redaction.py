"""Redaction: keys stay out of whatever a trace says, also where a server's error message echoes one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

MASK = "***"

#: What ends a word in the name of a header, a cookie or a part of a URL whose value is a secret: no author or keyword.
_SECRET_WORD = r"""
    (?i: key | token | secret | sig(?:nature)? | pass(?:word|wd|phrase)? | pwd | auth(?:orization)?
       | credentials? | sess(?:ion)?(?:id)? | jwt | cookie )(?![a-z])
"""
_IS_SECRET = re.compile(_SECRET_WORD + r"| (?i:\A code \Z)", re.VERBOSE)
_LOOKS_SECRET = re.compile(
    rf"""
      (?<![A-Za-z0-9])(?:sk|pk|rk|gsk|pplx|xai|hf|nvapi|r8|fw|csk|ghp|gho|github_pat|glpat|xox[abp]|tvly)[-_][\w*.-]{{8,}}
    | AIza[\w-]{{10,}} | AKIA[A-Z0-9]{{12,}} | ya29\.[\w.-]+
    | eyJ[\w-]{{8,}}\.[\w-]{{4,}}\.[\w-]*
    | (?<=bot)\d{{6,}}:[\w-]{{20,}}
    | (?<=/services/)T\w+/B\w+/\w+ | (?<=/webhooks/)\d+/[\w-]{{8,}}
    | (?i:(?<=bearer\ )|(?<=basic\ ))[\w.~+/*=-]{{6,}}
    | (?P<name>[?&](?:(?i:code)|[\w.%-]{{0,64}}?{_SECRET_WORD}[\w.%-]{{0,64}})=)[^&\s'"]+
    | (?i:(?<=api.key=)|(?<=apikey=)|(?<=token=)|(?<=secret=)|(?<=password=)|(?<=signature=))[^&\s'"]+
    | (?<=://)[^/\s@]+(?=@)
    """,
    re.VERBOSE,
)
_MOST = 256
_known: dict[str, None] = {}
_unread: deque[Iterable[str]] = deque(maxlen=_MOST)


def remember_secrets(values: Iterable[str]) -> None:
    """Mask these exact values from now on; the newest few hundred are known, those under 6 characters are not.

    They are read when there is a text to mask, which most requests never lead to.
    """
    _unread.append(values)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Tell whether a header, a cookie or a part of a URL with this name has a secret for its value."""
    return _IS_SECRET.search(name) is not None


def redact(text: str) -> str:
    """Return the text with everything masked that is known to be a secret or looks like a key."""
    read_secrets()
    return mask(text)


def mask(text: str) -> str:
    """Do the same by the secrets that have been read so far: cheap enough for every request."""
    found = [value for value in tuple(_known) if value in text]
    for value in sorted(found, key=len, reverse=True):  # one may be part of another
        text = text.replace(value, MASK)
    return _LOOKS_SECRET.sub(rf"\g<name>{MASK}", text)


def read_secrets() -> None:
    """Read what is to be remembered, so that nothing of its requests is held any more."""
    while _unread:
        # Another thread may be quicker, or headers of a client's own not be what they should.
        with suppress(Exception):
            for value in _unread.popleft():
                if len(value) >= 6:
                    _known.pop(value, None)
                    _known[value] = None
    while len(_known) > _MOST:
        _known.pop(next(iter(_known)), None)
