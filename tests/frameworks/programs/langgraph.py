"""LangGraph: a tool and a handoff, a failing tool and a retry, a stream, a call that hangs and one that is refused."""

from tests.frameworks.program import Program

PROGRAM = Program(
    requires=("langgraph", "langchain_openai"),
    source="""
import warnings
warnings.simplefilter("ignore")
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.types import Command

@tool
async def get_weather(city: str) -> str:
    "The weather in a city."
    await asyncio.sleep(0.01)
    return f"sunny in {city}"

@tool
def look_up(city: str) -> str:
    "Look a city up."
    raise LookupError("no such city")

@tool
def transfer_to_writer() -> Command:
    "Hand over to the writer."
    return Command(goto="writer", graph=Command.PARENT)

def agent(name, tools, model="gpt-5"):
    return create_react_agent(ChatOpenAI(model=model), ToolNode(tools, handle_tool_errors=True), name=name)

def team(name, tool=get_weather, model="gpt-5"):
    graph = StateGraph(MessagesState)
    graph.add_node(name, agent(name, [tool, transfer_to_writer], model), destinations=("writer",))
    graph.add_node("writer", agent("writer", []))
    graph.add_edge(START, name)
    return graph.compile(name=f"{name}-team")

def question():
    return {"messages": [("user", ask())]}

async def stream(graph):
    return await consume(graph.astream(question(), stream_mode="messages"))
""",
    cell="""
alpha = team("a").ainvoke(question())
beta = team("b", look_up, "gpt-5-429").ainvoke(question())
gamma = stream(team("c"))
delta = cancelled(team("d", model="gpt-5-hang").ainvoke(question()))
epsilon = failing(agent("e", [], "gpt-5-400").ainvoke(question()))
""",
    tree="""
alpha
    invoke_agent a-team
        invoke_agent a
            chat gpt-5
                POST /v1/chat/completions
            execute_tool get_weather
            chat gpt-5
                POST /v1/chat/completions
            execute_tool transfer_to_writer
            handoff a → writer ⇐ invoke_agent a ⇒ invoke_agent writer
        invoke_agent writer
            chat gpt-5
                POST /v1/chat/completions
beta
    invoke_agent b-team
        invoke_agent b
            chat gpt-5-429
                POST /v1/chat/completions · failed: 429
                POST /v1/chat/completions
            execute_tool look_up · failed: LookupError
            chat gpt-5-429
                POST /v1/chat/completions · failed: 429
                POST /v1/chat/completions
            execute_tool transfer_to_writer
            handoff b → writer ⇐ invoke_agent b ⇒ invoke_agent writer
        invoke_agent writer
            chat gpt-5
                POST /v1/chat/completions
gamma
    invoke_agent c-team
        invoke_agent c
            chat gpt-5
                POST /v1/chat/completions
            execute_tool get_weather
            chat gpt-5
                POST /v1/chat/completions
            execute_tool transfer_to_writer
            handoff c → writer ⇐ invoke_agent c ⇒ invoke_agent writer
        invoke_agent writer
            chat gpt-5
                POST /v1/chat/completions
delta
    Pregel.ainvoke · cancelled: CancelledError
        invoke_agent d-team · cancelled: CancelledError
            invoke_agent d · cancelled: CancelledError
                chat gpt-5-hang · cancelled: CancelledError
                    POST /v1/chat/completions · cancelled: CancelledError
epsilon
    invoke_agent e · failed: langchain_openai.chat_models.base.OpenAIInvalidRequestError
        chat gpt-5-400 · failed: 400
            POST /v1/chat/completions · failed: 400
""",
    one_tool="a = agent('Alpha', [get_weather]).ainvoke(question())",
    state="""
import langchain_core.runnables.config as config, langchain_core.tracers.context as context
import langgraph._internal._runnable as runnable
[len(context._configure_hooks)] + [
    module._set_config_context.__code__.co_filename == module.__file__ for module in (config, runnable)]
""",
)
