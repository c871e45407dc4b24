"""Runs to draw: made by a tracer with a clock set by hand, so that every time is exact."""

from __future__ import annotations

from asyncmagic.tracing import Span, Trace, Tracer, semconv


class Clock:
    """A clock that stands still until it is set."""

    now = 0

    def __call__(self) -> int:
        return self.now


def ms(milliseconds: float) -> int:
    return round(milliseconds * 1e6)


class Script:
    """Writes a trace by saying what happened when, in milliseconds."""

    def __init__(self, name: str = "cell", **options: object) -> None:
        self.clock = Clock()
        self.tracer = Tracer(clock=self.clock)
        self.trace = self.tracer.start_trace(name, **options)

    def start(self, name: str, at: float, kind: str = "task", parent: Span | None = None, **attributes: object) -> Span:
        return self.tracer.start_span(
            name, kind=kind, parent=parent or self.trace.root, start=ms(at), attributes=attributes
        )

    def span(self, name: str, at: float, to: float, kind: str = "task", parent: Span | None = None, **options) -> Span:
        error, message = options.pop("error", None), options.pop("message", None)
        span = self.start(name, at, kind, parent)
        self.tracer.set_attributes(span, options.pop("attributes", {}))
        self.tracer.end_span(span, end=ms(to), error=error, message=message)
        return span

    def states(self, span: Span, *changes: tuple[float, str] | tuple[float, str, str]) -> None:
        for at, *state in changes:
            self.tracer.set_state(span, *state, at=ms(at))

    def chat(self, parent: Span, at: float, to: float, first: float | None = None, **options) -> Span:
        chat = self.span("chat gpt-5", at, to, "chat", parent, **options)
        if first is not None:
            self.tracer.add_event(chat, semconv.EVENT_FIRST_CHUNK, at=ms(first))
        return chat

    def end(self, at: float) -> Trace:
        self.clock.now = ms(at)
        self.tracer.end_trace(self.trace)
        return self.trace


def workshop() -> Trace:
    """Six agents with all that a picture can show: a retry, a failure, a cancel, a tool, a thread, a blocked loop."""
    script = Script("workshop")
    names = ("facts", "history", "critic", "writer", "editor", "checker")
    facts, history, critic, writer, editor, checker = (script.start(name, 2) for name in names)
    tokens = {semconv.INPUT_TOKENS: 120, semconv.OUTPUT_TOKENS: 80, semconv.REQUEST_MODEL: "gpt-5"}

    script.states(facts, (2, "ready"), (3, "running"), (6, "waiting", "chat gpt-5"), (752, "running"), (934, "waiting"))
    script.chat(facts, 6, 750, 254, attributes=tokens | {semconv.REQUEST_ID: "req_facts"})
    script.span("execute_tool search", 754, 932, "execute_tool", facts)
    script.chat(facts, 935, 1750, 1240, attributes=tokens)
    script.tracer.end_span(facts, end=ms(1770))

    script.states(history, (2, "ready"), (4, "running"), (7, "waiting", "chat gpt-5"))
    call = script.chat(history, 7, 1350, 890, attributes=tokens)
    limited = {semconv.HTTP_STATUS: 429, semconv.RETRY_AFTER: 0.4}
    script.span("POST", 7, 97, "http", call, attributes=limited, error="429")
    script.span("POST", 497, 1350, "http", call, attributes={semconv.HTTP_STATUS: 200})
    script.tracer.end_span(history, end=ms(1370))

    script.states(critic, (2, "ready"), (5, "running"), (8, "waiting", "chat gpt-5"))
    script.chat(critic, 8, 820, attributes=tokens)
    script.tracer.end_span(critic, end=ms(840))

    script.states(writer, (2, "running"), (9, "waiting"))
    call = script.chat(writer, 9, 850, 310, attributes=tokens)
    held = {semconv.HTTP_STATUS: 200, semconv.CONNECTION_WAIT: 0.12}
    script.span("POST", 9, 850, "http", call, attributes=held)
    script.span("to_thread parse_pdf", 857, 1000, "thread", writer)
    script.chat(writer, 1010, 1990, 1350, attributes=tokens)
    script.tracer.end_span(writer, end=ms(2010))

    script.states(editor, (2, "queued"), (700, "running"), (704, "waiting"))
    error = "openai.InternalServerError"
    call = script.chat(editor, 704, 966, error=error, message="Error code: 500")
    script.span("POST", 704, 964, "http", call, attributes={semconv.HTTP_STATUS: 500}, error="500")
    script.tracer.end_span(editor, end=ms(980), error=error, message="Error code: 500")

    script.states(checker, (2, "queued"), (880, "running"), (884, "waiting"))
    script.chat(checker, 884, 1510, 1230, error="CancelledError")
    script.tracer.end_span(checker, end=ms(1525), error="CancelledError")

    place = {semconv.CODE_FILE: "<ipython-input-3>", semconv.CODE_LINE: 7}
    script.span("time.sleep", 860, 990, "blocked", attributes=place)
    return script.end(2020)


def queue(count: int = 500, limit: int = 8) -> Trace:
    """`count` agents in a list, at most `limit` in flight, each with one call; every fiftieth fails."""
    script = Script("queue")
    agents = [script.start(f"answers[{index}]", 1) for index in range(count)]
    for agent in agents:
        script.states(agent, (1, "queued"))
    free = [2.0] * limit
    for index, agent in enumerate(agents):
        lane = free.index(min(free))
        at = free[lane]
        to = at + 100 + index * 37 % 400
        error = "openai.RateLimitError" if index % 50 == 49 else None
        script.states(agent, (at, "running"), (at + 1, "waiting", "chat gpt-5"))
        tokens = {semconv.OUTPUT_TOKENS: index, semconv.REQUEST_ID: f"req_{index:08x}"}
        script.chat(agent, at + 1, to, at + 60, attributes=tokens, error=error)
        script.tracer.end_span(agent, end=ms(to + 1), error=error)
        free[lane] = to + 2
    return script.end(max(free) + 1)


#: Names and values as somebody with bad intent, or a language that is written from the right, would choose them.
HOSTILE = (
    "<script>document.hacked=1</script>",
    '"><img src=x onerror="document.hacked=1">',
    "</title></svg><svg onload=document.hacked=1>",
    "\u202egnp.exe \u2066x\u2069",
    "a\x00b\x07c\x1b[31md\x7f\ufffe",
    "👩‍🔬 مرحبا שלום",
    "line\nbreak\ttab\r",
    "lone \ud800 surrogate",
    "long " * 2_000,
    "${1+1} {{x}} `y` ]]> <!-- -->",
)


def hostile() -> Trace:
    """A run in which every text is hostile."""
    script = Script(HOSTILE[0])
    for index, text in enumerate(HOSTILE):
        agent = script.start(text, 1)
        script.states(agent, (1, "running"), (3, "waiting", text))
        call = script.chat(
            agent,
            3,
            90 + index,
            40,
            attributes={semconv.REQUEST_MODEL: text, "x" + text: text},
            error=text,
            message=text,
        )
        script.span(text, 4, 90, "http", call, attributes={semconv.HTTP_STATUS: 200, semconv.URL: text})
        script.tracer.end_span(agent, end=ms(100), error=text, message=text)
    script.span("block", 40, 60, "blocked", attributes={semconv.CODE_FILE: HOSTILE[1], semconv.CODE_LINE: 3})
    return script.end(110)
