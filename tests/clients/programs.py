"""Programs of libraries that emit OpenTelemetry, as their users write them: agents at once, each with a tool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from asyncmagic.simulator import Server
from tests.clients.sdks import KEY
from tests.frameworks.conftest import tree

CITIES = ("Rome", "Oslo")


async def pydantic_ai(server: Server) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    Agent.instrument_all()
    model = OpenAIChatModel("gpt-5", provider=OpenAIProvider(base_url=server.base_url, api_key=KEY))
    agent = Agent(model, name="Planner")

    @agent.tool_plain
    async def weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"sunny in {city}"

    await asyncio.gather(*(agent.run(f"the secret weather in {city}") for city in CITIES))
    async with agent.run_stream("the secret weather in Bern") as answer:
        await read(answer.stream_text())


async def google_adk(server: Server) -> None:
    from google.adk.agents import LlmAgent
    from google.adk.models.google_llm import Gemini
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"sunny in {city}"

    model = Gemini(model="gemini-2.5-flash", base_url=server.google_base_url)
    runner = InMemoryRunner(
        agent=LlmAgent(name="Planner", model=model, instruction="Help.", tools=[weather]), app_name="test"
    )

    async def ask(city: str) -> None:
        session = await runner.session_service.create_session(app_name="test", user_id="me")
        message = types.Content(role="user", parts=[types.Part(text=f"the secret weather in {city}")])
        await read(runner.run_async(user_id="me", session_id=session.id, new_message=message))

    await asyncio.gather(*map(ask, CITIES))


async def semantic_kernel(server: Server) -> None:
    from openai import AsyncOpenAI
    from semantic_kernel.agents import ChatCompletionAgent
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
    from semantic_kernel.functions import kernel_function

    class Weather:
        @kernel_function(description="the weather of a city")
        async def weather(self, city: str) -> str:
            return f"sunny in {city}"

    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
        service = OpenAIChatCompletion(ai_model_id="gpt-5", async_client=client)
        agent = ChatCompletionAgent(service=service, name="Planner", instructions="Help.", plugins=[Weather()])
        asked: list[Awaitable[Any]] = [agent.get_response(messages=f"the secret weather in {city}") for city in CITIES]
        await asyncio.gather(*asked)
        await read(agent.invoke_stream(messages="the secret weather in Bern"))


async def smolagents(server: Server) -> None:
    from openinference.instrumentation.smolagents import SmolagentsInstrumentor
    from smolagents import OpenAIModel, ToolCallingAgent, tool

    @tool
    def weather(city: str) -> str:
        """Tell the weather of a city.

        Args:
            city: its name
        """
        return f"sunny in {city}"

    def ask(city: str) -> None:
        model = OpenAIModel("gpt-5", api_base=server.base_url, api_key=KEY)
        agent = ToolCallingAgent(tools=[weather], model=model, name="planner", max_steps=1, verbosity_level=0)
        agent.run(f"the secret weather in {city}")

    SmolagentsInstrumentor().instrument()
    try:
        await asyncio.gather(*(asyncio.to_thread(ask, city) for city in CITIES))
    finally:
        SmolagentsInstrumentor().uninstrument()


async def read(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


@dataclass(frozen=True)
class Program:
    """A library's program, and its trace: with an OpenTelemetry SDK in use, and what HTTP alone tells without."""

    module: str
    main: Callable[[Server], Awaitable[None]]
    tree: str
    calls: int

    @property
    def name(self) -> str:
        return self.main.__name__


def twice(text: str) -> str:
    return tree(text) + "\n" + tree(text)


PROGRAMS = (
    Program(
        "pydantic_ai",
        pydantic_ai,
        twice("""
            AbstractAgent.run
                invoke_agent Planner
                    chat gpt-5
                        POST /v1/chat/completions
                    execute_tool weather
                    chat gpt-5
                        POST /v1/chat/completions
        """)
        + "\n"
        + tree("""
            invoke_agent Planner
                chat gpt-5
                    POST /v1/chat/completions
                execute_tool weather
                chat gpt-5
                    POST /v1/chat/completions
        """),
        6,
    ),
    Program(
        "google.adk",
        google_adk,
        twice("""
            google_adk.<locals>.ask
                invoke_workflow Planner (span)
                    invoke_agent Planner
                        chat gemini-2.5-flash
                            POST /v1beta/models/gemini-2.5-flash:generateContent
                        execute_tool weather
                        chat gemini-2.5-flash
                            POST /v1beta/models/gemini-2.5-flash:generateContent
        """),
        4,
    ),
    Program(
        "semantic_kernel",
        semantic_kernel,
        twice("""
            ChatCompletionAgent.get_response
                invoke_agent Planner
                    AutoFunctionInvocationLoop (span)
                        chat gpt-5
                            POST /v1/chat/completions
                        execute_tool Weather-weather
                        chat gpt-5
                            POST /v1/chat/completions
        """)
        + "\n"
        + tree("""
            invoke_agent Planner
                AutoFunctionInvocationLoop (span)
                    chat gpt-5
                        POST /v1/chat/completions
                    execute_tool Weather-weather
                    chat gpt-5
                        POST /v1/chat/completions
        """),
        6,
    ),
    Program(
        "openinference.instrumentation.smolagents",
        smolagents,
        twice("""
            to_thread
                smolagents.<locals>.ask (thread)
                    invoke_agent planner.run
                        Step 1 (span)
                            chat gpt-5
                                POST /v1/chat/completions
                            execute_tool weather
                        chat gpt-5
                            POST /v1/chat/completions
        """),
        4,
    ),
)
