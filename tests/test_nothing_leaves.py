"""Nothing of asyncmagic connects to anything but this machine, and what it writes asks a browser for nothing either."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: A session with everything in it. Whoever looks up a name or reaches for an address of another machine is noted, at
#: the interpreter's own level: no library can pass by that.
PROGRAM = r"""
import ipaddress, json, sys

left = []

def is_here(host):
    try:
        return not host or str(host) == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

def note(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if isinstance(address, tuple) and not is_here(address[0]):
            left.append((event, str(address)))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not is_here(args[0]):
        left.append((event, str(args[0])))
    elif event == "urllib.Request":
        left.append((event, str(args[0])))

sys.addaudithook(note)

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
shell.extension_manager.load_extension("asyncmagic")
cells = [
    "import asyncmagic, asyncmagic.simulator",
    "server = asyncmagic.simulator.start(latency=0, tokens_per_second=None, environ=True)",
    '''
import openai
async def ask(question):
    async with openai.AsyncOpenAI() as client:
        answer = await client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": question}])
        return answer.choices[0].message.content
''',
    "%%agents -o trace\nanswers = [ask(q) for q in 'abc']",
    "%asynctrace",
    "%asynctrace on",
    "await ask('d')",
    "%asynctrace tasks",
    "%asynctrace doctor",
    "from asyncmagic.exporters import EXPORTERS\nwritten = {name: trace.export(name) for name in EXPORTERS}",
    "assert len(answers) == 3 and len(server.log) == 4",
]
for cell in cells:
    shell.run_cell(cell).raise_error()
left.insert(0, ("pages", {name: text for name, text in shell.user_ns["written"].items() if name in ("html", "svg")}))
shell.user_ns["server"].stop()
print("\n" + json.dumps(left))
"""


@pytest.mark.slow
def test_a_whole_session_reaches_no_other_machine(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    run = subprocess.run([sys.executable, str(program)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    [_, pages], *left = json.loads(run.stdout.splitlines()[-1])
    assert left == []
    addresses = {
        address for page in pages.values() for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'<)]*", page)
    }
    # The names of SVG's and HTML's languages, which nobody looks up, and the simulator's own.
    assert {each for each in addresses if not re.match(r"http://(www\.w3\.org|127\.0\.0\.1)[:/]", each)} == set()
