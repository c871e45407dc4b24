"""How figures read in a sentence: `2.1 s`, `40 ms`, `1 retry`, `4,210 tokens`."""

from __future__ import annotations


def duration(seconds: float, *, rough: bool = False) -> str:
    """Return a time as people say it; `rough` for estimates: `about 40 s`, not 38.7."""
    if rough:
        step = 1 if seconds < 10 else 5 if seconds < 60 else 30
        seconds = float(max(round(seconds / step) * step, step))
    if seconds < 0.0995:
        return f"{seconds * 1e3:.0f} ms" if seconds >= 0.00095 or not seconds else f"{seconds * 1e3:.2g} ms"
    if seconds < 0.95:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.0f} s" if rough else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 retry`, `2 retries`, `4,210 tokens`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """Return a share of 1 as whole percents, and `<1 %` rather than none."""
    return "<1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")
