"""A language model server on loopback: real HTTP, no key, no network, the same answers every time.

    with simulator.serve(latency=0.3, tokens_per_second=40) as base_url:
        client = AsyncOpenAI(base_url=base_url, api_key="any")

In a notebook one line does: `server = simulator.start(environ=True)`. It speaks the formats of OpenAI, Anthropic,
Google, Mistral, Groq, Cohere and Ollama: their clients take `server.base_url`, `.anthropic_base_url`,
`.google_base_url`, `.mistral_base_url`, and the last three `.address`.

A model name provokes a fault: `gpt-5-429` (one 429, then an answer), `-429x3`, `-500`, `-slow`, `-slow0.5`, `-drop`,
`-drop8`, `-hang`, `-malformed`.
"""

from asyncmagic.simulator.faults import Fault, Request
from asyncmagic.simulator.log import Exchange
from asyncmagic.simulator.server import BaseURL, Server, serve, start

__all__ = ["BaseURL", "Exchange", "Fault", "Request", "Server", "serve", "start"]
