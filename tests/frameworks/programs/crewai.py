"""CrewAI: crews with a tool and a delegation, a failing tool and a retry, a stream, a call that hangs, one refused."""

from tests.frameworks.program import Program

PROGRAM = Program(
    requires=("crewai",),
    source="""
import warnings
warnings.simplefilter("ignore")
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

@tool("get_weather")
def get_weather(city: str) -> str:
    "The weather in a city."
    return f"sunny in {city}"

@tool("look_up")
def look_up(city: str) -> str:
    "Look a city up."
    raise LookupError("no such city")

def agent(name, tools=(), model="gpt-5", delegates=False, **settings):
    llm = LLM(model=f"openai/{model}", **settings)
    return Agent(role=name, goal="g", backstory="b", llm=llm, tools=list(tools), allow_delegation=delegates)

def crew(name, tool=get_weather, model="gpt-5", **settings):
    members = [agent(name, [tool], model, True, **settings), agent("Writer")]
    task = Task(description=ask(), expected_output="x", agent=members[0])
    return Crew(agents=members, tasks=[task], name=f"{name}Crew")

def solo(name, **settings):
    member = agent(name, [get_weather], **settings)
    return Crew(agents=[member], tasks=[Task(description=ask(), expected_output="x", agent=member)], name=name)
""",
    cell="""
alpha = crew("Alpha").akickoff()
beta = crew("Beta", look_up, "gpt-5-429").akickoff()
gamma = crew("Gamma", stream=True).kickoff_async()
delta = cancelled(crew("Delta", model="gpt-5-hang").akickoff())
epsilon = failing(crew("Epsilon", model="gpt-5-400").akickoff())
""",
    tree="""
alpha
    invoke_agent AlphaCrew
        invoke_agent Alpha
            chat gpt-5
                POST /v1/chat/completions
            execute_tool get_weather
            chat gpt-5
                POST /v1/chat/completions
            execute_tool delegate_work_to_coworker
                invoke_agent Writer
                    chat gpt-5
                        POST /v1/chat/completions
            chat gpt-5
                POST /v1/chat/completions
beta
    invoke_agent BetaCrew
        invoke_agent Beta
            chat gpt-5-429
                POST /v1/chat/completions · failed: 429
                POST /v1/chat/completions
            execute_tool look_up · failed: LookupError
            chat gpt-5-429
                POST /v1/chat/completions · failed: 429
                POST /v1/chat/completions
            execute_tool delegate_work_to_coworker
                invoke_agent Writer
                    chat gpt-5
                        POST /v1/chat/completions
            chat gpt-5-429
                POST /v1/chat/completions · failed: 429
                POST /v1/chat/completions
gamma
    invoke_agent GammaCrew
        invoke_agent Gamma
            chat gpt-5
                POST /v1/chat/completions
            execute_tool get_weather
            chat gpt-5
                POST /v1/chat/completions
            execute_tool delegate_work_to_coworker
                invoke_agent Writer
                    chat gpt-5
                        POST /v1/chat/completions
            chat gpt-5
                POST /v1/chat/completions
delta
    Crew.akickoff · cancelled: CancelledError
        invoke_agent DeltaCrew · cancelled: CancelledError
            invoke_agent Delta · cancelled: CancelledError
                chat gpt-5-hang · open
                    POST /v1/chat/completions · open
epsilon
    invoke_agent EpsilonCrew · failed: openai.BadRequestError
        invoke_agent Epsilon · failed: openai.BadRequestError
            chat gpt-5-400 · failed: 400
                POST /v1/chat/completions · failed: 400
        invoke_agent Epsilon · failed: openai.BadRequestError
            chat gpt-5-400 · failed: 400
                POST /v1/chat/completions · failed: 400
        invoke_agent Epsilon · failed: openai.BadRequestError
            chat gpt-5-400 · failed: 400
                POST /v1/chat/completions · failed: 400
""",
    one_tool="a = solo('Alpha').akickoff()",
    state="""
import asyncio, crewai.events.event_bus as bus
bus.CrewAIEventsBus.emit.__code__.co_filename == bus.__file__, asyncio.get_running_loop()._default_executor
""",
)
