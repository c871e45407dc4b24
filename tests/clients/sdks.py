"""The SDKs as their users call them, behind one set of words: ask, stream, embed, asynchronously and not."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

KEY = "sk-canary-0123456789abcdef"
#: Seconds: their own few to connect do not do where a hundred calls start at once on a busy machine.
PATIENCE = 60.0


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


class Sdk:
    """One SDK: where it asks, whose name the trace must give, whether it tries again by itself.

    Each has `ask`, `stream`, `embed`, `ask_sync` and `stream_sync` as far as its library does.
    """

    module = ""
    needs = ""
    provider = ""
    #: Made the address of the simulator for the test: what the provider's own address is called.
    host = ""
    path = ""
    has_embeddings = True
    has_streams = True
    retries = True

    def __init__(self, port: int) -> None:
        self.library: Any = importlib.import_module(self.module)
        self.url = f"http://{self.host}:{port}{self.path}"

    async def aclose(self) -> None: ...

    def close(self) -> None: ...


class OpenAI(Sdk):
    module, provider, host, path = "openai", "openai", "api.openai.com", "/v1"
    options: dict[str, Any] = {"stream_options": {"include_usage": True}}  # noqa: RUF012

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.client = self.open("AsyncOpenAI")
        self.sync = self.open("OpenAI")

    def open(self, name: str) -> Any:
        return getattr(self.library, name)(base_url=self.url, api_key=KEY, max_retries=2, timeout=PATIENCE)

    async def ask(self, model: str, text: str, *, limit: int | None = None) -> None:
        await self.client.chat.completions.create(model=model, messages=say(text), max_tokens=limit or 500)

    async def stream(self, model: str, text: str) -> AsyncIterator[Any]:
        create = self.client.chat.completions.create
        async for chunk in await create(model=model, messages=say(text), stream=True, **self.options):
            yield chunk

    async def embed(self, model: str, texts: list[str]) -> None:
        await self.client.embeddings.create(model=model, input=texts)

    async def aclose(self) -> None:
        await self.client.close()

    def ask_sync(self, model: str, text: str) -> None:
        self.sync.chat.completions.create(model=model, messages=say(text))

    def stream_sync(self, model: str, text: str) -> Iterator[Any]:
        yield from self.sync.chat.completions.create(model=model, messages=say(text), stream=True, **self.options)

    def close(self) -> None:
        self.sync.close()


class OpenAIAiohttp(OpenAI):
    """OpenAI's client with its aiohttp transport: an httpx client that sends through an aiohttp session."""

    needs = "httpx_aiohttp"

    def open(self, name: str) -> Any:
        client = super().open(name)
        return client.with_options(http_client=self.library.DefaultAioHttpClient()) if name == "AsyncOpenAI" else client


class Groq(OpenAI):
    module, provider, host, path = "groq", "groq", "api.groq.com", ""
    options: dict[str, Any] = {}  # noqa: RUF012
    has_embeddings = False  # Groq serves none

    def open(self, name: str) -> Any:
        return super().open(name.replace("OpenAI", "Groq"))


class Anthropic(Sdk):
    module, provider, host = "anthropic", "anthropic", "api.anthropic.com"
    has_embeddings = False

    def __init__(self, port: int) -> None:
        super().__init__(port)
        options = {"base_url": self.url, "api_key": KEY, "max_retries": 2, "timeout": PATIENCE}
        self.client, self.sync = self.library.AsyncAnthropic(**options), self.library.Anthropic(**options)

    async def ask(self, model: str, text: str, *, limit: int | None = None) -> None:
        await self.client.messages.create(model=model, max_tokens=limit or 500, messages=say(text))

    async def stream(self, model: str, text: str) -> AsyncIterator[Any]:
        async with self.client.messages.stream(model=model, max_tokens=500, messages=say(text)) as events:
            async for piece in events.text_stream:
                yield piece

    async def aclose(self) -> None:
        await self.client.close()

    def ask_sync(self, model: str, text: str) -> None:
        self.sync.messages.create(model=model, max_tokens=500, messages=say(text))

    def stream_sync(self, model: str, text: str) -> Iterator[Any]:
        with self.sync.messages.stream(model=model, max_tokens=500, messages=say(text)) as events:
            yield from events.text_stream

    def close(self) -> None:
        self.sync.close()


class Google(Sdk):
    module, provider, host = "google.genai", "gcp.gemini", "generativelanguage.googleapis.com"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        options = {"base_url": self.url, "retry_options": {"attempts": 3, "initial_delay": 0.01, "max_delay": 0.05}}
        self.client = self.library.Client(api_key=KEY, http_options=options)
        self.models, self.aio = self.client.models, self.client.aio.models

    async def ask(self, model: str, text: str, *, limit: int | None = None) -> None:
        await self.aio.generate_content(model=model, contents=text, config={"max_output_tokens": limit})

    async def stream(self, model: str, text: str) -> AsyncIterator[Any]:
        async for chunk in await self.aio.generate_content_stream(model=model, contents=text):
            yield chunk

    async def embed(self, model: str, texts: list[str]) -> None:
        await self.aio.embed_content(model=model, contents=texts)

    async def aclose(self) -> None:
        await self.client.aio.aclose()

    def ask_sync(self, model: str, text: str) -> None:
        self.models.generate_content(model=model, contents=text)

    def stream_sync(self, model: str, text: str) -> Iterator[Any]:
        yield from self.models.generate_content_stream(model=model, contents=text)

    def close(self) -> None:
        self.client.close()


class Mistral(Sdk):
    module, provider, host, path = "mistralai.client", "mistral_ai", "api.mistral.ai", "/mistral"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        utils = importlib.import_module("mistralai.client.utils")
        again = utils.RetryConfig("backoff", utils.BackoffStrategy(10, 50, 1.5, 10_000), True)
        self.client = self.library.Mistral(server_url=self.url, api_key=KEY, retry_config=again)

    async def ask(self, model: str, text: str, *, limit: int | None = None) -> None:
        await self.client.chat.complete_async(model=model, messages=say(text), max_tokens=limit)

    async def stream(self, model: str, text: str) -> AsyncIterator[Any]:
        async with await self.client.chat.stream_async(model=model, messages=say(text)) as events:
            async for event in events:
                yield event

    async def embed(self, model: str, texts: list[str]) -> None:
        await self.client.embeddings.create_async(model=model, inputs=texts)

    async def aclose(self) -> None:
        await self.client.__aexit__(None, None, None)

    def ask_sync(self, model: str, text: str) -> None:
        self.client.chat.complete(model=model, messages=say(text))

    def stream_sync(self, model: str, text: str) -> Iterator[Any]:
        with self.client.chat.stream(model=model, messages=say(text)) as events:
            yield from events

    def close(self) -> None:
        self.client.__exit__(None, None, None)


class Cohere(Sdk):
    module, provider, host = "cohere", "cohere", "api.cohere.com"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.client = self.library.AsyncClientV2(api_key=KEY, base_url=self.url)
        self.sync = self.library.ClientV2(api_key=KEY, base_url=self.url)

    async def ask(self, model: str, text: str, *, limit: int | None = None) -> None:
        await self.client.chat(model=model, messages=say(text), max_tokens=limit or 500)

    async def stream(self, model: str, text: str) -> AsyncIterator[Any]:
        async for event in self.client.chat_stream(model=model, messages=say(text)):
            yield event

    async def embed(self, model: str, texts: list[str]) -> None:
        how = {"input_type": "search_document", "embedding_types": ["float"]}
        await self.client.embed(model=model, texts=texts, **how)

    def ask_sync(self, model: str, text: str) -> None:
        self.sync.chat(model=model, messages=say(text))

    def stream_sync(self, model: str, text: str) -> Iterator[Any]:
        yield from self.sync.chat_stream(model=model, messages=say(text))

    async def aclose(self) -> None:
        await self.client.__aexit__(None, None, None)

    def close(self) -> None:
        self.sync.__exit__(None, None, None)


class Ollama(Sdk):
    module, provider, host = "ollama", "ollama", "ollama.local"
    retries = False

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.client, self.sync = self.library.AsyncClient(host=self.url), self.library.Client(host=self.url)

    async def ask(self, model: str, text: str, *, limit: int | None = None) -> None:
        await self.client.chat(model=model, messages=say(text), options={"num_predict": limit or 500})

    async def stream(self, model: str, text: str) -> AsyncIterator[Any]:
        async for part in await self.client.generate(model=model, prompt=text, stream=True):
            yield part

    async def embed(self, model: str, texts: list[str]) -> None:
        await self.client.embed(model=model, input=texts)

    def ask_sync(self, model: str, text: str) -> None:
        self.sync.generate(model=model, prompt=text)

    def stream_sync(self, model: str, text: str) -> Iterator[Any]:
        yield from self.sync.chat(model=model, messages=say(text), stream=True)

    async def aclose(self) -> None:
        await self.client._client.aclose()

    def close(self) -> None:
        self.sync._client.close()


class LiteLLM(Sdk):
    """LiteLLM under one provider's name; through its aiohttp transport, unless that is switched off."""

    module = "litellm"
    prefix = ""
    uses_aiohttp = True
    embeds_as = ""
    embeds_at = ""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.library.telemetry = False
        self.library.suppress_debug_info = True
        self.library.disable_aiohttp_transport = not self.uses_aiohttp
        self.options = {"api_base": self.url, "api_key": KEY, "num_retries": 2}
        self.streams = {"stream": True, "stream_options": {"include_usage": True}}

    async def ask(self, model: str, text: str, *, limit: int | None = None) -> None:
        ask = self.library.acompletion
        await ask(model=self.prefix + model, messages=say(text), max_tokens=limit or 500, **self.options)

    async def stream(self, model: str, text: str) -> AsyncIterator[Any]:
        ask = self.library.acompletion
        async for chunk in await ask(model=self.prefix + model, messages=say(text), **self.streams, **self.options):
            yield chunk

    async def embed(self, model: str, texts: list[str]) -> None:
        options = {**self.options, "api_base": self.url.removesuffix("/v2/chat") + self.embeds_at}
        await self.library.aembedding(model=(self.embeds_as or self.prefix) + model, input=texts, **options)

    async def aclose(self) -> None:
        await self.library.close_litellm_async_clients()
        self.library.in_memory_llm_clients_cache.flush_cache()
        if (client := vars(self.library).pop("module_level_aclient", None)) is not None:
            await client.close()  # what it keeps open belongs to this loop

    def ask_sync(self, model: str, text: str) -> None:
        self.library.completion(model=self.prefix + model, messages=say(text), **self.options)

    def stream_sync(self, model: str, text: str) -> Iterator[Any]:
        ask = self.library.completion
        yield from ask(model=self.prefix + model, messages=say(text), **self.streams, **self.options)


class LiteLLMOpenAI(LiteLLM):
    provider, host, path, prefix = "openai", "api.openai.com", "/v1", "openai/"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.options["max_retries"] = self.options.pop("num_retries")  # of OpenAI's own client, which it uses here


class LiteLLMAnthropic(LiteLLM):
    provider, host, prefix, has_embeddings = "anthropic", "api.anthropic.com", "anthropic/", False


class LiteLLMAnthropicHttpx(LiteLLMAnthropic):
    uses_aiohttp = False


class LiteLLMGroq(LiteLLM):
    provider, host, path, prefix, has_embeddings = "groq", "api.groq.com", "/openai/v1", "groq/", False


class LiteLLMMistral(LiteLLM):
    provider, host, path, prefix = "mistral_ai", "api.mistral.ai", "/mistral/v1", "mistral/"


class LiteLLMCohere(LiteLLM):
    provider, host, path, prefix = "cohere", "api.cohere.com", "/v2/chat", "cohere_chat/"
    embeds_as, embeds_at = "cohere/", "/v2/embed"
    has_streams = False  # it cannot read the `event:` lines of Cohere's streams


class LiteLLMOllama(LiteLLM):
    provider, host, prefix, embeds_as = "ollama", "ollama.local", "ollama_chat/", "ollama/"


class LiteLLMGoogle(LiteLLM):
    provider, host, prefix = "gcp.gemini", "generativelanguage.googleapis.com", "gemini/"


class LiteLLMGoogleHttpx(LiteLLMGoogle):
    uses_aiohttp = False


SDKS: tuple[type[Sdk], ...] = (
    OpenAI,
    OpenAIAiohttp,
    Groq,
    Anthropic,
    Google,
    Mistral,
    Cohere,
    Ollama,
    LiteLLMOpenAI,
    LiteLLMAnthropic,
    LiteLLMAnthropicHttpx,
    LiteLLMGroq,
    LiteLLMMistral,
    LiteLLMCohere,
    LiteLLMOllama,
    LiteLLMGoogle,
    LiteLLMGoogleHttpx,
)
