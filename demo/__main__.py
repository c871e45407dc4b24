"""Set up the demo and run it: `python -m demo` in a fresh clone.

Nothing but Python 3.11 or newer is needed to start. The environment is made under the checkout on the first run
(.venv-demo) and kept. The notebooks run in a real kernel against a language model server that comes with asyncmagic:
no key, no network.

    python -m demo              run the notebooks, print what they show, write notebook and HTML page to demo/output
    python -m demo --lab        open JupyterLab with the quickstart
    python -m demo --real       ask OpenAI instead; needs OPENAI_API_KEY, and costs a few cents
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (whoever runs it may have an older one)
    sys.exit(f"python -m demo needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")

import argparse
import os
import subprocess

from demo.environment import ROOT, Environment, SetupError

LAB_OPTIONS = ("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=")


def main() -> int:
    arguments = _parse()
    if arguments.real and not os.environ.get("OPENAI_API_KEY"):
        print("--real asks OpenAI, and OPENAI_API_KEY is not set: set it, or leave --real out to run without a key.")
        return 2
    environment = Environment(ROOT / ".venv-demo", ("-e", ".[demo]"))
    if not environment.is_ready:
        print("Setting up .venv-demo: this happens once and takes a minute or two.", flush=True)
        try:
            environment.make()
        except SetupError as error:
            print(f"The set-up of .venv-demo failed: {error}")
            return 1
    command = ["-m", "demo.execute"]
    if arguments.lab:
        may_be_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = ["-m", "jupyterlab", "demo/quickstart.ipynb", *LAB_OPTIONS, *may_be_root]
    real = {"ASYNCMAGIC_DEMO_REAL": "1"} if arguments.real else {}
    try:
        return subprocess.run([environment.python, *command], cwd=ROOT, env={**os.environ, **real}).returncode
    except KeyboardInterrupt:
        return 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python -m demo [--lab] [--real]",
        description=__doc__,
    )
    parser.add_argument("--lab", action="store_true", help="open JupyterLab with the quickstart")
    parser.add_argument("--real", action="store_true", help="ask OpenAI; needs OPENAI_API_KEY")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
