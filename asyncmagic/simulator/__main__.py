"""`python -m asyncmagic.simulator`: the simulator in a process of its own, until Ctrl-C; prints its base URL."""

from __future__ import annotations

import argparse
import contextlib
import time

from asyncmagic import simulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m asyncmagic.simulator", description=simulator.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=0, help="any free one by default")
    parser.add_argument("--latency", type=float, default=0.3, help="seconds to the first token (%(default)s)")
    parser.add_argument("--tokens-per-second", type=float, default=40.0, help="0: all at once (%(default)s)")
    parser.add_argument("--jitter", type=float, default=0.1, help="relative spread of the latency (%(default)s)")
    parser.add_argument("--retry-after", type=float, default=1.0, help="seconds that a 429 asks for (%(default)s)")
    options = vars(parser.parse_args())
    options["tokens_per_second"] = options["tokens_per_second"] or None
    _allow_many_connections()
    with simulator.serve(**options) as base_url, contextlib.suppress(KeyboardInterrupt):
        print(base_url, flush=True)
        while True:  # an Event's wait would not hear Ctrl-C on Windows
            time.sleep(3600)


def _allow_many_connections() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
