"""An answer's bytes, in whatever pieces and encoding they come."""

from __future__ import annotations

import gzip
import time
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncmagic.instrumentation.body import Body, whole

EVENTS = (
    b'event: one\ndata: {"a": 1}\n\n: a comment\n\ndata:{"b": "\xe6\x97\xa5"}\n\ndata: two\ndata: lines\n\nid: 7\n\n'
)
MESSAGES = [b'{"a": 1}', b'{"b": "\xe6\x97\xa5"}', b"two\nlines"]


def read(body: Body, pieces: list[bytes]) -> list[bytes]:
    return [message for piece in pieces for message in body.feed(piece)] + body.rest()


@given(st.lists(st.integers(0, len(EVENTS))), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_may_be_cut_anywhere_and_end_their_lines_in_any_way(cuts: list[int], line_end: bytes) -> None:
    stream = EVENTS.replace(b"\n", line_end)
    at = sorted({0, len(stream), *cuts})
    pieces = [stream[start:end] for start, end in pairwise(at)]
    assert read(Body("text/event-stream"), pieces) == MESSAGES


def test_an_event_is_given_as_soon_as_it_is_complete() -> None:
    body = Body("text/event-stream; charset=utf-8")
    assert body.feed(b"data: one") == []
    assert body.feed(b"\n") == []
    assert body.feed(b"\ndata: tw") == [b"one"]
    assert body.rest() == [b"tw"]


def test_lines_of_json_are_messages() -> None:
    assert read(Body("application/x-ndjson"), [b'{"a"', b': 1}\n{"b": 2}\n\n{"c"', b": 3}"]) == [
        b'{"a": 1}',
        b'{"b": 2}',
        b'{"c": 3}',
    ]


def test_anything_else_is_one_message_at_the_end() -> None:
    body = Body("application/json")
    assert body.feed(b'{"a":') == []
    assert body.feed(b" 1}") == []
    assert body.rest() == [b'{"a": 1}']
    assert Body("application/json").rest() == []


def test_a_whole_body_is_cut_by_its_type() -> None:
    assert whole(EVENTS, "text/event-stream") == MESSAGES
    assert whole(b"data: no\n\nstream", "text/plain") == [b"data: no\n\nstream"]


RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(EVENTS)),
        ("x-gzip", gzip.compress(EVENTS)),
        ("GZIP", gzip.compress(EVENTS)),
        ("deflate", zlib.compress(EVENTS)),
        ("deflate", RAW_DEFLATE.compress(EVENTS) + RAW_DEFLATE.flush()),
        ("identity", EVENTS),
    ],
    ids=["gzip", "x-gzip", "upper case", "deflate", "raw deflate", "identity"],
)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_compressed_streams_are_read_piece_by_piece(encoding: str, data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert read(Body("text/event-stream", encoding), pieces) == MESSAGES


@pytest.mark.parametrize(("encoding", "library"), [("br", "brotli"), ("zstd", "backports.zstd")])
def test_other_encodings_are_read_where_the_client_can(encoding: str, library: str) -> None:
    data = pytest.importorskip(library).compress(EVENTS)
    assert read(Body("text/event-stream", encoding), [data[:20], data[20:]]) == MESSAGES


@pytest.mark.parametrize(
    ("encoding", "data"), [("gzip", b"no gzip at all"), ("unheard-of", EVENTS)], ids=["broken", "unknown"]
)
def test_what_cannot_be_decompressed_is_not_read(encoding: str, data: bytes) -> None:
    assert read(Body("text/event-stream", encoding), [data, data]) == []


def test_each_byte_of_a_large_message_is_looked_at_once() -> None:
    body, piece = Body("text/event-stream"), b"x" * 1024
    started = time.process_time()
    assert [body.feed(piece) for _ in range(7000)] == [[]] * 7000
    (message,) = body.feed(b"\ndata: end\n\n")
    assert message == b"end"
    assert time.process_time() - started < 1  # 0.02 as it is; to copy what is there with each piece takes seconds


def test_an_endless_message_is_given_up() -> None:
    for content_type in ("application/json", "text/event-stream"):
        body = Body(content_type)
        for _ in range(10):
            body.feed(b"data: " + b"x" * (1 << 20))
        assert body.rest() == []


def test_with_words_only_the_telling_and_the_last_messages_are_given() -> None:
    stream = b"".join(b"data: piece %d%s\n\n" % (number, b" usage" * (number == 3)) for number in range(10))
    found = Body("text/event-stream").feed(stream, (b"usage", b"nowhere"))
    assert found == [b"piece 3 usage", b"piece 8", b"piece 9"]
    lines = b"".join(b'{"n": %d}\n' % number for number in range(5))
    assert Body("application/x-ndjson").feed(lines, (b'"n": 0',)) == [b'{"n": 0}', b'{"n": 3}', b'{"n": 4}']
    assert Body("text/event-stream").feed(b"data: one\n\n", (b"one",)) == [b"one"]
