"""The server itself: its pace, its log, its faults, its beginning and its end."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient

from asyncmagic import simulator
from asyncmagic.simulator import Exchange, Fault, Request, Server


def post(
    server: Server, text: str = "Tell me about whales", *, headers: dict[str, str] | None = None, **body: Any
) -> Any:
    """Post one chat completion; return its status, headers and text."""
    connection = http.client.HTTPConnection("127.0.0.1", port(server), timeout=20)
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": text}], **body}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def port(server: Server) -> int:
    return int(server.base_url.split(":")[-1].removesuffix("/v1"))


def test_serve_gives_an_address_on_loopback_and_takes_it_away() -> None:
    with simulator.serve(latency=0, tokens_per_second=None) as base_url:
        assert base_url.startswith("http://127.0.0.1:")
        assert base_url.endswith("/v1")
        assert post(base_url.server)[0] == 200
        assert [exchange.api for exchange in base_url.log] == ["chat"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port(base_url.server)), timeout=5)


def test_nobody_outside_this_machine_can_connect(simulator: Server) -> None:
    try:
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells this machine's own outside address
            outside = probe.getsockname()[0]
    except OSError:
        pytest.skip("this machine has no outside address")
    with pytest.raises(OSError):
        socket.create_connection((outside, port(simulator)), timeout=5)


def test_two_servers_run_side_by_side_and_stopping_twice_is_fine() -> None:
    with simulator.start(latency=0) as first, simulator.start(latency=0) as second:
        assert first.base_url != second.base_url
        first.stop()
        first.stop()
        assert post(second, max_tokens=1)[0] == 200
        assert repr(first) == f"<simulator {first.base_url}: stopped>"
        assert repr(second) == f"<simulator {second.base_url}: 1 answered, 0 in flight>"


def test_stopping_ends_the_thread_and_the_answers_in_flight() -> None:
    before = threading.active_count()
    with simulator.start(latency=0) as server, ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(post, server, model="gpt-5-hang")
        while not server.in_flight:
            time.sleep(0.001)
        server.stop()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            hanging.result()
    assert threading.active_count() == before


def test_environ_points_the_sdks_here_until_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.org/v1")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    before = dict(os.environ)
    with simulator.start(environ=True) as server:
        changed = {name: value for name, value in os.environ.items() if before.get(name) != value}
        assert changed == {
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "simulator",
            "ANTHROPIC_BASE_URL": server.anthropic_base_url,
            "ANTHROPIC_API_KEY": "simulator",
            "GOOGLE_GEMINI_BASE_URL": server.google_base_url,
            "GOOGLE_API_KEY": "simulator",
            "GROQ_BASE_URL": server.address,
            "GROQ_API_KEY": "simulator",
            "CO_API_URL": server.address,
            "CO_API_KEY": "simulator",
            "OLLAMA_HOST": server.address,
            "NO_PROXY": "example.org,127.0.0.1",
            "no_proxy": "example.org,127.0.0.1",
        }
    assert dict(os.environ) == before


def test_without_environ_nothing_is_set() -> None:
    before = dict(os.environ)
    with simulator.start():
        assert dict(os.environ) == before


def test_the_first_token_comes_after_the_latency_and_the_others_at_their_pace() -> None:
    with simulator.start(latency=0.1, tokens_per_second=100, jitter=0) as server:
        post(server, stream=True, max_tokens=11)
        post(server, max_tokens=11)
        streamed, plain = server.log
    assert streamed.first_token_ns is not None
    assert plain.first_byte_ns is not None
    assert 0.1 <= seconds(streamed, streamed.first_token_ns) < 0.2
    assert 0.2 <= seconds(streamed, streamed.ended_ns) < 0.4
    assert 0.2 <= seconds(plain, plain.first_byte_ns) < 0.4
    assert plain.first_token_ns is None


def test_a_streamed_response_begins_before_its_first_token() -> None:
    with simulator.start(latency=0.2, tokens_per_second=None, jitter=0) as server:
        connection = http.client.HTTPConnection("127.0.0.1", port(server), timeout=20)
        connection.request("POST", "/v1/responses", json.dumps({"model": "gpt-5", "input": "hi", "stream": True}))
        connection.getresponse().read()
        connection.close()
        [exchange] = server.log
    assert exchange.first_byte_ns is not None and exchange.first_token_ns is not None
    assert 0.1 <= seconds(exchange, exchange.first_byte_ns) < 0.2
    assert 0.2 <= seconds(exchange, exchange.first_token_ns) < 0.4


def test_jitter_spreads_the_prompts_and_gives_the_same_prompt_the_same_latency() -> None:
    lengths = range(1, 5)
    with simulator.start(latency=0.4, tokens_per_second=None, jitter=1) as server:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda length: post(server, "a " * length, stream=True), [*lengths, *lengths]))
        times: dict[int, list[float]] = {}
        for exchange in server.log:
            times.setdefault(exchange.input_tokens, []).append(seconds(exchange, exchange.first_token_ns or 0))
    means = [sum(pair) / 2 for pair in times.values()]
    assert max(means) - min(means) > 0.3
    assert max(abs(first - second) for first, second in times.values()) < 0.25


def seconds(exchange: Exchange, moment: int) -> float:
    return (moment - exchange.started_ns) / 1e9


def test_the_log_holds_the_whole_exchange_and_no_key(simulator: Server) -> None:
    headers = {"authorization": "Bearer sk-canary", "x-api-key": "sk-canary", "x-stainless-retry-count": "1"}
    _, answered, text = post(simulator, headers=headers, max_tokens=5)
    [exchange] = simulator.log
    assert exchange == Exchange(
        api="chat",
        model="gpt-5",
        stream=False,
        request_id=answered["x-request-id"],
        retry_count=1,
        started_ns=exchange.started_ns,
        first_byte_ns=exchange.first_byte_ns,
        ended_ns=exchange.ended_ns,
        status=200,
        input_tokens=11,
        output_tokens=5,
        finish_reason="length",
    )
    assert exchange.started_ns < (exchange.first_byte_ns or 0) < exchange.ended_ns
    assert json.loads(text)["usage"]["completion_tokens"] == 5
    assert "sk-canary" not in repr(exchange)


def test_a_function_chooses_the_faults_request_by_request() -> None:
    asked = []

    def faults(request: Request) -> Fault | None:
        asked.append(request)
        return Fault(status=429, retry_after=0.2) if request.number == 3 else None

    with simulator.start(latency=0, tokens_per_second=None, faults=faults) as server:
        answers = [post(server, text) for text in ("one", "two", "two", "two")]
    assert [status for status, _, _ in answers] == [200, 200, 429, 200]
    assert [headers["retry-after"] for _, headers, _ in answers] == [None, None, "0.2", None]
    assert asked == [
        Request("chat", "gpt-5", False, "one", 1, 1, 1),
        Request("chat", "gpt-5", False, "two", 2, 1, 1),
        Request("chat", "gpt-5", False, "two", 3, 2, 1),
        Request("chat", "gpt-5", False, "two", 4, 3, 1),
    ]


def test_faults_that_fail_answer_with_their_error() -> None:
    with simulator.start(latency=0, faults=lambda request: 1 / 0) as server:
        status, _, text = post(server)
    assert (status, json.loads(text)["error"]["message"]) == (
        500,
        "The simulator failed: ZeroDivisionError: division by zero",
    )


def test_a_header_asks_for_a_fault_as_a_model_name_does(simulator: Server) -> None:
    assert [post(simulator, headers={"X-Simulator-Fault": "503x1"})[0] for _ in range(2)] == [503, 200]


def test_every_conversation_meets_its_own_429(simulator: Server) -> None:
    texts = ["one", "one", "two", "two"]
    assert [post(simulator, text, model="gpt-5-429")[0] for text in texts] == [429, 200, 429, 200]


def test_a_slow_start_delays_the_first_token() -> None:
    with simulator.start(latency=0, tokens_per_second=None) as server:
        post(server, model="gpt-5-slow0.1", stream=True)
        [exchange] = server.log
    assert 0.1 <= seconds(exchange, exchange.first_token_ns or 0) < 0.5


def test_many_at_once_are_counted_and_each_gets_its_own_answer() -> None:
    count = 200

    async def main(server: Server) -> list[str]:
        client = AsyncHTTPClient(force_instance=True, max_clients=count)
        bodies = [
            {"model": "gpt-5", "stream": True, "max_tokens": 4, "messages": [{"role": "user", "content": f"item {n}"}]}
            for n in range(count)
        ]
        url = f"{server.base_url}/chat/completions"
        answers = await asyncio.gather(
            *(client.fetch(url, method="POST", body=json.dumps(body), request_timeout=60) for body in bodies)
        )
        client.close()
        return [answer.body.decode() for answer in answers]

    with simulator.start(latency=1.0, tokens_per_second=40, jitter=0) as server:
        answers = asyncio.run(main(server))
        assert server.in_flight == 0
        assert server.most_in_flight == count
    assert all(answer.endswith("data: [DONE]\n\n") for answer in answers)
    assert sum(exchange.output_tokens for exchange in server.log) == 4 * count


def test_a_connection_is_kept_for_the_next_request(simulator: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port(simulator), timeout=20)
    sockets = set()
    for stream in (True, False, True):
        body = {"model": "gpt-5", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_whatever_comes_nothing_is_printed(simulator: Server, capfd: pytest.CaptureFixture[str]) -> None:
    for sent in (
        b"nonsense\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 9\r\n\r\n{",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n{",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port(simulator)), timeout=5) as connection:
            connection.sendall(sent)
    for model in ("gpt-5-429", "gpt-5-500", "gpt-5"):
        post(simulator, model=model)
    simulator.stop()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_it_runs_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "asyncmagic.simulator", "--latency", "0", "--tokens-per-second", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip().removeprefix("http://").removesuffix("/v1")
            connection = http.client.HTTPConnection(address, timeout=20)
            connection.request("GET", "/v1/models")
            assert connection.getresponse().status == 200
            connection.close()
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_server_that_nobody_stopped_ends_with_its_process_and_says_nothing() -> None:
    source = "from asyncmagic import simulator; server = simulator.start(); print(server.base_url)"
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", source]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout.startswith("http://127.0.0.1:")
    assert ended.stderr == ""
