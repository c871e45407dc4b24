"""What requests to language models and their answers say, provider by provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncmagic.instrumentation.answer import Answer
from asyncmagic.instrumentation.llm import FORMATS, read_answer, read_request

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def asked(path: str, body: Any, host: str = "127.0.0.1", **options: Any) -> dict[str, Any] | None:
    question = read_request(host, path, json.dumps(body).encode(), **options)
    return None if question is None else {"span": question.name, **question.attributes}


def said(path: str, body: Any, *messages: Any, keeps_content: bool = False) -> dict[str, Any]:
    """The attributes of an answer that came in these messages, by the last part of their names."""
    question = read_request("127.0.0.1", path, json.dumps(body).encode())
    assert question is not None
    answer = Answer(keeps_content=keeps_content)
    for message in messages:
        read_answer(question.format, answer, json.dumps(message).encode())
    found = {name.removeprefix("gen_ai."): value for name, value in answer.attributes().items()}
    return found | ({"error": answer.error} if answer.error is not None else {})


@pytest.mark.parametrize(
    ("path", "body", "host", "expected"),
    [
        ("/v1/chat/completions", ASK | {"stream": True}, "api.openai.com", ("chat m", "openai", True)),
        ("/openai/deployments/gpt/chat/completions", ASK, "x.openai.azure.com", ("chat m", "azure.ai.openai", False)),
        ("/v1/chat/completions", ASK, "api.mistral.ai", ("chat m", "mistral_ai", False)),
        ("/openai/v1/chat/completions", ASK, "api.groq.com", ("chat m", "groq", False)),
        ("/v1/completions", {"model": "m", "prompt": "hi"}, "localhost", ("text_completion m", "openai", False)),
        ("/v1/responses", {"model": "m", "input": "hi"}, "api.openai.com", ("chat m", "openai", False)),
        ("/v1/messages", ASK, "api.anthropic.com", ("chat m", "anthropic", False)),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:streamRawPredict",
            {"messages": [], "anthropic_version": "vertex-2023-10-16"},
            "us-east5-aiplatform.googleapis.com",
            ("chat claude@1", "gcp.vertex_ai", True),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            {"contents": []},
            "generativelanguage.googleapis.com",
            ("chat gemini-2.5-flash", "gcp.gemini", False),
        ),
        (
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            {"contents": []},
            "127.0.0.1",
            ("chat gemini-2.5-flash", "gcp.gemini", True),
        ),
        ("/v2/chat", ASK, "api.cohere.com", ("chat m", "cohere", False)),
        ("/api/chat", ASK, "localhost", ("chat m", "ollama", True)),
        ("/api/generate", {"model": "m", "prompt": "hi", "stream": False}, "localhost", ("chat m", "ollama", False)),
    ],
)
def test_a_chat_request_is_known_by_its_path_and_body(
    path: str, body: Any, host: str, expected: tuple[str, str, bool]
) -> None:
    found = asked(path, body, host)
    assert found is not None
    assert (found["span"], found["gen_ai.provider.name"], found["gen_ai.request.stream"]) == expected


@pytest.mark.parametrize(
    ("path", "body", "span"),
    [
        ("/v1/embeddings", {"model": "m", "input": "hi"}, "embeddings m"),
        ("/v1beta/models/gemini-embedding-001:batchEmbedContents", {"requests": []}, "embeddings gemini-embedding-001"),
        ("/v2/embed", {"model": "m", "texts": []}, "embeddings m"),
        ("/api/embed", {"model": "m", "input": "hi"}, "embeddings m"),
    ],
)
def test_embeddings_have_an_operation_of_their_own(path: str, body: Any, span: str) -> None:
    found = asked(path, body)
    assert found is not None
    assert (found["span"], found["gen_ai.operation.name"]) == (span, "embeddings")
    assert "gen_ai.request.stream" not in found


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models", ASK),
        ("/v1/messages", {"text": "a chat room"}),
        ("/v1/messages", ["no object"]),
        ("/v1/responses", {"survey": 5}),
        ("/v1/chat/completions/cmpl-1", ASK),
        ("/v1/messages/count_tokens", ASK),
        ("/api/chat", {"model": {"not": "a name"}, "options": 5}),
    ],
)
def test_any_other_request_is_none_of_a_language_model(path: str, body: Any) -> None:
    assert asked(path, body) is None


def test_settings_are_found_under_every_providers_name_for_them() -> None:
    names = ("gen_ai.request.max_tokens", "gen_ai.request.temperature")
    requests = [
        ("/v1/chat/completions", ASK | {"max_completion_tokens": 9, "temperature": 1}),
        ("/v1/responses", {"model": "m", "input": "hi", "max_output_tokens": 9, "temperature": 1.0}),
        ("/v1/messages", ASK | {"max_tokens": 9, "temperature": 1}),
        (
            "/v1/models/m:generateContent",
            {"contents": [], "generationConfig": {"maxOutputTokens": 9, "temperature": 1}},
        ),
        ("/api/chat", ASK | {"options": {"num_predict": 9, "temperature": 1}}),
    ]
    for path, body in requests:
        found = asked(path, body) or {}
        assert [found[name] for name in names] == [9, 1.0]


def test_a_huge_request_is_not_read_through() -> None:
    body = {"messages": [{"role": "user", "content": 'say "model": "x" ' * 100_000}], "model": "gpt-5", "stream": True}
    found = asked("/v1/chat/completions", body)
    assert found is not None
    assert (found["span"], found["gen_ai.request.stream"]) == ("chat gpt-5", True)


def test_openai_chat_whole() -> None:
    assert said(
        "/v1/chat/completions",
        ASK,
        {
            "id": "c1",
            "model": "m-1",
            "choices": [
                {"index": 1, "message": {"content": None, "tool_calls": [CALL]}, "finish_reason": "tool_calls"},
                {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"},
            ],
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
        },
    ) == {
        "response.id": "c1",
        "response.model": "m-1",
        "response.finish_reasons": ["stop", "tool_calls"],
        "usage.input_tokens": 10,
        "usage.output_tokens": 5,
        "usage.cache_read.input_tokens": 8,
        "usage.reasoning.output_tokens": 3,
    }


CALL = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


def chunk(*choices: Any, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m-1", "choices": list(choices), **more}


def test_openai_chat_stream_with_reasoning_text_and_tools() -> None:
    pieces = [
        {"index": 0, "delta": {"role": "assistant", "content": ""}},
        {"index": 0, "delta": {"reasoning_content": "hm"}},
        {"index": 0, "delta": {"content": "Let me "}},
        {"index": 0, "delta": {"content": "see."}},
        {"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "weather"}}]}},
        {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}},
        {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]}},
        {"index": 0, "delta": {}, "finish_reason": "tool_calls"},
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    found = said(
        "/v1/chat/completions", ASK, *(chunk(piece) for piece in pieces), chunk(usage=usage), keeps_content=True
    )
    messages = json.loads(found.pop("output.messages"))
    assert found == {
        "response.id": "c1",
        "response.model": "m-1",
        "response.finish_reasons": ["tool_calls"],
        "usage.input_tokens": 10,
        "usage.output_tokens": 5,
    }
    assert messages == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "Let me see."},
                {"type": "tool_call", "id": "t1", "name": "weather", "arguments": '{"city": "Rome"}'},
            ],
            "finish_reason": "tool_calls",
        }
    ]


@pytest.mark.parametrize(
    ("delta", "is_content"),
    [
        ({"role": "assistant", "content": ""}, False),
        ({"content": None}, False),
        ({}, False),
        ({"content": "a"}, True),
        ({"content": [{"type": "text", "text": "a"}]}, True),
        ({"reasoning_content": "a"}, True),
        ({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}, True),
        ({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}, False),
    ],
)
def test_the_first_content_is_text_reasoning_or_a_tool_call(delta: Any, is_content: bool) -> None:
    question = read_request("127.0.0.1", "/v1/chat/completions", ASK)
    assert question is not None
    answer = Answer()
    read_answer(question.format, answer, json.dumps(chunk({"index": 0, "delta": delta})).encode())
    assert answer.has_content is is_content


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "m-1",
    "status": "completed",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
    ],
    "usage": {
        "input_tokens": 10,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 1},
        "output_tokens_details": {"reasoning_tokens": 3},
    },
}
RESPONSE_SAYS = {
    "response.id": "resp_1",
    "response.model": "m-1",
    "response.finish_reasons": ["stop"],
    "usage.input_tokens": 10,
    "usage.output_tokens": 5,
    "usage.cache_read.input_tokens": 8,
    "usage.cache_write.input_tokens": 1,
    "usage.reasoning.output_tokens": 3,
}
HELLO = [
    {
        "role": "assistant",
        "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hello"}],
        "finish_reason": "stop",
    }
]


def test_responses_whole_and_streamed_say_the_same() -> None:
    body = {"model": "m", "input": "hi"}
    begun = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}},
        {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.output_text.delta", "delta": "lo"},
        {"type": "response.completed", "response": RESPONSE},
    ]
    for messages in [RESPONSE], events:
        found = said("/v1/responses", body, *messages, keeps_content=True)
        assert json.loads(found.pop("output.messages")) == HELLO
        assert found == RESPONSE_SAYS


def test_a_response_with_tool_calls_finishes_with_them() -> None:
    item = {"type": "function_call", "call_id": "t1", "name": "weather", "arguments": "{}"}
    found = said("/v1/responses", {"model": "m", "input": "hi"}, RESPONSE | {"output": [item]})
    assert found["response.finish_reasons"] == ["tool_calls"]


def test_a_response_that_failed_or_was_cut_says_why() -> None:
    body = {"model": "m", "input": "hi"}
    failed = {"id": "r", "status": "failed", "error": {"code": "server_error", "message": "no"}}
    cut = {"id": "r", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert said("/v1/responses", body, {"type": "response.failed", "response": failed})["error"] == "server_error"
    found = said("/v1/responses", body, {"type": "response.incomplete", "response": cut})
    assert found["response.finish_reasons"] == ["max_output_tokens"]


MESSAGE_SAYS = {
    "response.id": "msg_1",
    "response.model": "claude-1",
    "response.finish_reasons": ["end_turn"],
    "usage.input_tokens": 115,
    "usage.output_tokens": 7,
    "usage.cache_read.input_tokens": 100,
    "usage.cache_write.input_tokens": 5,
}
MESSAGE_USAGE = {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 5}


def test_anthropic_whole_and_streamed_say_the_same() -> None:
    begun = {"type": "message", "id": "msg_1", "model": "claude-1", "content": [], "stop_reason": None}
    whole = begun | {
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "usage": MESSAGE_USAGE | {"output_tokens": 7},
    }
    events = [
        {"type": "message_start", "message": begun | {"usage": MESSAGE_USAGE | {"output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    for messages in [whole], events:
        found = said("/v1/messages", ASK, *messages, keeps_content=True)
        assert json.loads(found.pop("output.messages")) == [HELLO[0] | {"finish_reason": "end_turn"}]
        assert found == MESSAGE_SAYS


def test_anthropic_tool_use_is_put_together() -> None:
    start = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"city": ', '"Rome"}')]
    events = [
        {"type": "content_block_start", "index": 0, "content_block": start},
        *({"type": "content_block_delta", "index": 0, "delta": piece} for piece in pieces),
    ]
    found = said("/v1/messages", ASK, *events, keeps_content=True)
    assert json.loads(found["output.messages"])[0]["parts"] == [
        {"type": "tool_call", "id": "t1", "name": "weather", "arguments": '{"city": "Rome"}'}
    ]


def test_an_error_event_of_anthropic_is_an_error() -> None:
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert said("/v1/messages", ASK, event) == {"error": "overloaded_error"}


def test_google_whole_and_streamed_say_the_same() -> None:
    def answer(*parts: Any, **more: Any) -> Any:
        candidate = {"content": {"role": "model", "parts": list(parts)}, **more}
        return {"candidates": [candidate], "modelVersion": "gemini-1", "responseId": "r1"}

    usage = {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "cachedContentTokenCount": 8}
    thought, hel, lo = {"text": "hm", "thought": True}, {"text": "Hel"}, {"text": "lo"}
    whole = answer(thought, {"text": "Hello"}, finishReason="STOP") | {"usageMetadata": usage}
    early = {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1}}
    last = answer(lo, finishReason="STOP") | {"usageMetadata": usage}
    for messages in [whole], [answer(thought), answer(hel) | early, last], [[answer(thought), answer(hel), last]]:
        path = "/v1beta/models/gemini-x:streamGenerateContent"
        found = said(path, {"contents": []}, *messages, keeps_content=True)
        assert json.loads(found.pop("output.messages")) == HELLO
        assert found == {
            "response.id": "r1",
            "response.model": "gemini-1",
            "response.finish_reasons": ["stop"],
            "usage.input_tokens": 10,
            "usage.output_tokens": 7,
            "usage.cache_read.input_tokens": 8,
            "usage.reasoning.output_tokens": 3,
        }


def test_cohere_whole_and_streamed_say_the_same() -> None:
    usage = {"billed_units": {"input_tokens": 3.0}, "tokens": {"input_tokens": 10.0, "output_tokens": 5.0}}
    whole = {
        "id": "c1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        "usage": usage,
    }
    events = [
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hel"}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "lo"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    ]
    for messages in [whole], events:
        found = said("/v2/chat", ASK, *messages, keeps_content=True)
        [message] = json.loads(found.pop("output.messages"))
        assert message["parts"] == [{"type": "text", "content": "Hello"}]
        assert found == {
            "response.id": "c1",
            "response.finish_reasons": ["complete"],
            "usage.input_tokens": 10,
            "usage.output_tokens": 5,
        }


def test_ollama_streams_lines() -> None:
    lines = [
        {"model": "m-1", "message": {"role": "assistant", "content": "Hel"}, "done": False},
        {"model": "m-1", "message": {"role": "assistant", "content": "lo"}, "done": False},
        {"model": "m-1", "message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 10,
         "eval_count": 5},
    ]  # fmt: skip
    assert said("/api/chat", ASK, *lines) == {
        "response.model": "m-1",
        "response.finish_reasons": ["stop"],
        "usage.input_tokens": 10,
        "usage.output_tokens": 5,
    }


def test_many_vectors_are_not_read_and_the_tokens_found() -> None:
    vectors = [{"object": "embedding", "index": index, "embedding": [0.25] * 1500} for index in range(20)]
    whole = {"object": "list", "data": vectors, "model": "m-1", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    found = said("/v1/embeddings", {"model": "m", "input": ["hi"]}, whole)
    assert found == {"response.model": "m-1", "usage.input_tokens": 7}


@pytest.mark.parametrize(
    ("path", "body", "messages"),
    [
        (
            "/v1/chat/completions",
            {
                "model": "m",
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {}}],
                    },
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "t1", "content": "sunny"},
                ],
            },
            "image_url",
        ),
        (
            "/v1/responses",
            {
                "model": "m",
                "instructions": "Be kind.",
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image"}]},
                    {"type": "function_call", "call_id": "t1", "name": "weather", "arguments": '{"city": "Rome"}'},
                    {"type": "function_call_output", "call_id": "t1", "output": "sunny"},
                ],
            },
            "input_image",
        ),
        (
            "/v1/messages",
            {
                "model": "m",
                "system": "Be kind.",
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image", "source": {}}]},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "tool_use", "id": "t1", "name": "weather", "input": '{"city": "Rome"}'},
                        ],
                    },
                    {
                        "role": "tool",
                        "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}],
                    },
                ],
            },
            "image",
        ),
        (
            "/v1beta/models/m:generateContent",
            {
                "systemInstruction": {"parts": [{"text": "Be kind."}]},
                "contents": [
                    {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"data": "…"}}]},
                    {
                        "role": "model",
                        "parts": [{"functionCall": {"id": "t1", "name": "weather", "args": '{"city": "Rome"}'}}],
                    },
                    {"role": "tool", "parts": [{"functionResponse": {"id": "t1", "response": "sunny"}}]},
                ],
            },
            "inlineData",
        ),
    ],
    ids=["openai", "responses", "anthropic", "google"],
)
def test_what_was_asked_has_one_shape(path: str, body: Any, messages: str) -> None:
    found = asked(path, body, keeps_content=True)
    assert found is not None
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}, {"type": messages}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "t1", "name": "weather", "arguments": '{"city": "Rome"}'}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "result": "sunny"}]},
    ]


#: The keys that any of the formats looks for, in an order of no meaning.
KEYS = [
    "id", "model", "type", "choices", "index", "delta", "message", "content", "text", "thinking", "tool_calls",
    "function", "name", "arguments", "finish_reason", "error", "code", "usage", "prompt_tokens", "input_tokens",
    "prompt_tokens_details", "cached_tokens", "response", "status", "output", "item", "content_block", "partial_json",
    "candidates", "parts", "functionCall", "args", "usageMetadata", "promptTokenCount", "messages", "role", "system",
    "input", "contents", "tokens", "done", "meta", "billed_units", "stream", "options", "max_tokens", "temperature",
]  # fmt: skip
TYPES = [
    "message",
    "message_start",
    "content_block_delta",
    "response.completed",
    "function_call",
    "tool_result",
    "text",
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from([*TYPES, "", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)


@given(st.sampled_from(FORMATS), st.booleans(), st.lists(ANYTHING, min_size=1, max_size=4))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_answer_is_too_strange_to_be_passed_over(form: Any, keeps_content: bool, messages: list[Any]) -> None:
    answer = Answer(keeps_content=keeps_content)
    for message in messages:
        read_answer(form, answer, json.dumps(message).encode())
    json.dumps(answer.attributes())


@given(
    st.sampled_from(["/v1/chat/completions", "/v1/responses", "/v1/messages", "/m:generateContent", "/api/chat"]),
    ANYTHING,
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_request_is_too_strange_to_be_passed_over(path: str, body: Any) -> None:
    question = read_request("host", path, json.dumps(body).encode(), keeps_content=True)
    assert question is None or json.dumps(question.attributes)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"{", b'{"a": NaN}', b"null"])
def test_what_is_no_json_is_passed_over(data: bytes) -> None:
    question = read_request("host", "/v1/chat/completions", ASK)
    assert question is not None
    answer = Answer()
    read_answer(question.format, answer, data)
    assert answer.attributes() == {}
    assert read_request("host", "/v1/chat/completions", data) is None
