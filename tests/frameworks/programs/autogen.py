"""AutoGen: a tool and a handoff, a failing tool and a retry, a stream, a call that hangs and one that is refused."""

from tests.frameworks.program import Program

PROGRAM = Program(
    requires=("autogen_agentchat", "autogen_ext"),
    source="""
import warnings
warnings.simplefilter("ignore")
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat, Swarm
from autogen_ext.models.openai import OpenAIChatCompletionClient

async def get_weather(city: str) -> str:
    "The weather in a city."
    await asyncio.sleep(0.01)
    return f"sunny in {city}"

def look_up(city: str) -> str:
    "Look a city up."
    raise LookupError("no such city")

def model(name="gpt-5"):
    abilities = dict(vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False)
    return OpenAIChatCompletionClient(model=name, model_info=abilities)

def agent(name, tools=(), model_name="gpt-5", **settings):
    return AssistantAgent(name, model(model_name), tools=list(tools), **settings)

def team(name, tool=get_weather, model_name="gpt-5", **settings):
    members = [
        agent(name, [tool], model_name, handoffs=["Writer"], **settings),
        agent("Writer", system_message="Say TERMINATE.", **settings),
    ]
    return Swarm(members, name=f"{name}Team", termination_condition=TextMentionTermination("TERMINATE"))

async def stream(team):
    return await consume(team.run_stream(task=ask()))
""",
    cell="""
alpha = team("Alpha").run(task=ask())
beta = team("Beta", look_up, "gpt-5-429").run(task=ask())
gamma = stream(team("Gamma", model_client_stream=True))
delta = cancelled(agent("Delta", model_name="gpt-5-hang").run(task=ask()))
epsilon = failing(agent("Epsilon", model_name="gpt-5-400").run(task=ask()))
""",
    tree="""
alpha
    invoke_agent AlphaTeam
        invoke_agent Alpha
            chat gpt-5
                POST /v1/chat/completions
            execute_tool get_weather
        invoke_agent Alpha
            chat gpt-5
                POST /v1/chat/completions
            execute_tool transfer_to_writer
            handoff Alpha → Writer ⇐ invoke_agent Alpha ⇒ invoke_agent Writer
        invoke_agent Writer
            chat gpt-5
                POST /v1/chat/completions
beta
    invoke_agent BetaTeam
        invoke_agent Beta
            chat gpt-5-429
                POST /v1/chat/completions · failed: 429
                POST /v1/chat/completions
            execute_tool look_up · failed: LookupError
                look_up (thread) · failed: LookupError
        invoke_agent Beta
            chat gpt-5-429
                POST /v1/chat/completions · failed: 429
                POST /v1/chat/completions
            execute_tool transfer_to_writer
            handoff Beta → Writer ⇐ invoke_agent Beta ⇒ invoke_agent Writer
        invoke_agent Writer
            chat gpt-5
                POST /v1/chat/completions
gamma
    invoke_agent GammaTeam
        invoke_agent Gamma
            chat gpt-5
                POST /v1/chat/completions
            execute_tool get_weather
        invoke_agent Gamma
            chat gpt-5
                POST /v1/chat/completions
            execute_tool transfer_to_writer
            handoff Gamma → Writer ⇐ invoke_agent Gamma ⇒ invoke_agent Writer
        invoke_agent Writer
            chat gpt-5
                POST /v1/chat/completions
delta
    BaseChatAgent.run · cancelled: CancelledError
        invoke_agent Delta · cancelled: CancelledError
            chat gpt-5-hang · cancelled: CancelledError
                POST /v1/chat/completions · cancelled: CancelledError
epsilon
    invoke_agent Epsilon · failed: openai.BadRequestError
        chat gpt-5-400 · failed: 400
            POST /v1/chat/completions · failed: 400
""",
    one_tool="a = agent('Alpha', [get_weather]).run(task=ask())",
    state="""
import sys, autogen_agentchat.teams._group_chat._chat_agent_container as container
from autogen_core.tools._base import BaseStreamTool, BaseTool
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.teams import BaseGroupChat
[function.__code__.co_filename == sys.modules[function.__module__].__file__ for function in (
    BaseChatAgent.run, BaseChatAgent.run_stream, BaseGroupChat.run_stream, BaseTool.run_json,
    BaseStreamTool.run_json_stream, container.ChatAgentContainer._log_message,
    container.trace_invoke_agent_span.__wrapped__)]
""",
)
