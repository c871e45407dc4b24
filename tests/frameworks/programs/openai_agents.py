"""OpenAI Agents SDK: a tool and a handoff, a failing tool and a retry, a stream, a call that hangs, one refused."""

from tests.frameworks.program import Program

PROGRAM = Program(
    requires=("agents",),
    source="""
from agents import Agent, Runner, RunConfig, function_tool

@function_tool
async def get_weather(city: str) -> str:
    "The weather in a city."
    await asyncio.sleep(0.01)
    return f"sunny in {city}"

@function_tool
def look_up(city: str) -> str:
    "Look a city up."
    raise LookupError("no such city")

def agent(name, tool=get_weather, model="gpt-5", handoffs=None):
    writer = Agent(name="Writer", model="gpt-5")
    return Agent(name=name, model=model, tools=[tool], handoffs=[writer] if handoffs is None else handoffs)

async def stream(agent):
    return await consume(Runner.run_streamed(agent, ask()).stream_events())
""",
    cell="""
alpha = Runner.run(agent("Alpha"), ask())
beta = Runner.run(agent("Beta", look_up, "gpt-5-429"), ask())
gamma = stream(agent("Gamma"))
delta = cancelled(Runner.run(agent("Delta", model="gpt-5-hang"), ask()))
epsilon = failing(Runner.run(Agent(name="Epsilon", model="gpt-5-400"), ask()))
""",
    tree="""
alpha
    invoke_agent Alpha
        chat gpt-5
            POST /v1/responses
        execute_tool get_weather
        chat gpt-5
            POST /v1/responses
        handoff Alpha → Writer ⇐ invoke_agent Alpha ⇒ invoke_agent Writer
    invoke_agent Writer
        chat gpt-5
            POST /v1/responses
beta
    invoke_agent Beta
        chat gpt-5-429
            POST /v1/responses · failed: 429
            POST /v1/responses
        execute_tool look_up · failed: LookupError
            look_up (thread) · failed: LookupError
        chat gpt-5-429
            POST /v1/responses · failed: 429
            POST /v1/responses
        handoff Beta → Writer ⇐ invoke_agent Beta ⇒ invoke_agent Writer
    invoke_agent Writer
        chat gpt-5
            POST /v1/responses
gamma
    invoke_agent Gamma
        chat gpt-5
            POST /v1/responses
        execute_tool get_weather
        chat gpt-5
            POST /v1/responses
        handoff Gamma → Writer ⇐ invoke_agent Gamma ⇒ invoke_agent Writer
    invoke_agent Writer
        chat gpt-5
            POST /v1/responses
delta
    Runner.run · cancelled: CancelledError
        invoke_agent Delta · cancelled: CancelledError
            chat gpt-5-hang · cancelled: CancelledError
                POST /v1/responses · cancelled: CancelledError
epsilon
    invoke_agent Epsilon · failed: openai.BadRequestError
        chat gpt-5-400 · failed: 400
            POST /v1/responses · failed: 400
""",
    one_tool="a = Runner.run(agent('Alpha', handoffs=[]), ask())",
    state="""
import agents.tracing.spans as spans
[getattr(kind, name).__code__.co_filename == spans.__file__
 for kind in (spans.SpanImpl, spans.NoOpSpan) for name in ("start", "finish", "set_error")]
""",
)
