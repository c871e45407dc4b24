"""Readable text that depends on nothing but the prompt, and its tokens."""

from __future__ import annotations

import re
from random import Random

_TOKEN = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")
_LABEL = re.compile(r"^\s*[A-Z][\w ]{0,24}:\s+")
_LEAD_IN = re.compile(
    r"""a|about|an|answer|are|brief|briefly|can|could|describe|do|does|explain|facts?|find|for|give|go|how|in|into|is|
    look|me|of|on|one|our|out|paragraph|please|question|report|research|say|sentences?|short|some|summari[sz]e|summary|
    tell|the|think|this|three|to|topic|two|up|us|user|what|when|where|which|who|why|write|you""",
    re.VERBOSE | re.IGNORECASE,
)
_OPENINGS = (
    "Here is what matters about {topic}.",
    "Three things stand out about {topic}.",
    "There is a short answer on {topic}, and a longer one.",
    "Much has been written about {topic}, and a few points hold up well.",
    "Anyone who looks closely at {topic} finds the same pattern.",
    "Interest in {topic} has grown steadily over the past decade.",
)
_MIDDLES = (
    "The first figures were mixed, but recent work is more encouraging.",
    "Costs have fallen by about {number} percent in {years} years.",
    "Most experts agree that the details matter more than the headline.",
    "A study of {number} cases points in the same direction.",
    "The main limit is not the idea itself but how fast people can adopt it.",
    "Small experiments with {topic} pay off sooner than large plans.",
    "What works in one place often fails in another, so context comes first.",
    "About {number} in a hundred projects report clear benefits within {years} years.",
    "The open question is who pays, and when.",
)
_CLOSINGS = (
    "In short, give {topic} a second look.",
    "So the sensible next step is to measure, then decide.",
    "On balance, the outlook for {topic} is good.",
    "That is the state of {topic} today; the next few years will tell.",
    "A careful start with {topic} is better than a late one.",
)


def tokens(text: str) -> list[str]:
    """Split the text into its tokens; joined they are the text again."""
    return _TOKEN.findall(text)


def topic(message: str) -> str:
    """Return what the message is about, in at most six of its own words."""
    line = next((line for line in message.splitlines() if line.strip()), "")
    sentence = re.split(r"[.?!;](?:\s|$)", _LABEL.sub("", line))[0]
    _, found, rest = sentence.partition(" about ")
    words = re.findall(r"[\w'’+#-]+", rest if found else sentence)
    start = next((i for i, word in enumerate(words) if not _LEAD_IN.fullmatch(word)), len(words))
    if start and start < len(words) and words[start - 1].lower() == "the":
        start -= 1
    words = words[start : start + 6]
    while words and _LEAD_IN.fullmatch(words[-1]):
        del words[-1]
    return " ".join(words) or "your question"


def value(name: str, message: str) -> str:
    """Return what a field of that name holds: a place that the message names, or else the message's topic."""
    if name.lower() in ("city", "country", "destination", "location", "place", "town"):
        return next(iter(re.findall(r"\b(?:in|to|at|for|of|from) ([A-Z]\w+(?: [A-Z]\w+)*)", message)), "Paris")
    return topic(message)


def write(about: str, rng: Random, *, source: str = "", finding: str = "") -> str:
    """Write four or five sentences about a topic; `finding` is what the tool `source` has returned."""
    sentences = [rng.choice(_OPENINGS), *rng.sample(_MIDDLES, rng.randint(1, 2)), rng.choice(_CLOSINGS)]
    paragraph = [
        sentence.format(topic=about, number=rng.randrange(20, 90), years=rng.randrange(2, 9)) for sentence in sentences
    ]
    if finding:
        paragraph.insert(1, f"The tool {source} says: {' '.join(finding.split())[:160].rstrip('.')}.")
    return " ".join(paragraph)
