"""OpenTelemetry's names for attributes, in one place since the gen_ai ones still move.

Source: opentelemetry.io/docs/specs/semconv, general and gen_ai; the newest spelling is written, older ones are read
where traces come in from elsewhere. `asyncio.*` and `asyncmagic.*` are ours.
"""

from __future__ import annotations

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
AGENT_NAME = "gen_ai.agent.name"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"

ERROR_TYPE = "error.type"
HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
HTTP_RESEND_COUNT = "http.request.resend_count"
URL = "url.full"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
THREAD_NAME = "thread.name"
CODE_LINE = "code.line.number"
CODE_FILE = "code.file.path"
CODE_FUNCTION = "code.function.name"
CODE_STACK = "code.stacktrace"
CODE_CELL = "asyncmagic.cell"  # what the page calls the cell that the code is from: "cell [3]"

REQUEST_ID = "asyncmagic.request_id"
RETRY_AFTER = "asyncmagic.retry_after"  # seconds
CONNECTION_WAIT = "asyncmagic.connection_wait"  # seconds spent waiting for a free connection
BLOCKED_BY = "asyncmagic.blocked_by"  # the call, import or collection that held the loop
CANCELLED_BY = "asyncmagic.cancelled_by"  # who cancelled a task: another task and its line, a timeout, a task group
STEPS_NOT_SHOWN = "asyncmagic.steps_not_shown"  # steps of a task too short for the length of its log
POOL = "asyncmagic.pool"  # how busy the pool was when work was handed to it: "6 of 6 threads busy, 14 waiting"
BLOCKED_TIME = "asyncmagic.blocked_time"  # seconds that a blocked loop added before the first token
BLOCKED_TIME_TO_END = "asyncmagic.blocked_time_to_end"  # seconds that it added to the whole call
CONNECTION_LIMIT = "asyncmagic.connection_limit"  # connections the client's pool allows, where a request waited for one
BACK_OFF = "asyncmagic.back_off"  # seconds between a failed attempt and the next one
FOLLOWED_BY = "asyncmagic.followed_by"  # the URL that was asked next, since this answer only led there: a redirect
NOT_READ_TO_END = "asyncmagic.not_read_to_end"  # true where the client left an answer before its end
LIBRARY = "asyncmagic.library"  # whose own affair a task or thread is: it runs its own code, and none of the user's
COST = "asyncmagic.cost"  # US dollars
OTEL_SPAN = "asyncmagic.otel_span"  # where a span came from OpenTelemetry: its trace and span ids there
LIMIT = "asyncmagic.limit"
TASK_ID = "asyncio.task.name"
EVENT_FIRST_CHUNK = "gen_ai.first_chunk"
EVENT_RETRY = "asyncmagic.retry"
# The phases of an HTTP attempt, each from its event to the next; before the first, it waits for a connection.
EVENT_CONNECT = "http.connect"
EVENT_TLS = "http.tls"
EVENT_SEND = "http.send"
EVENT_SENT = "http.sent"
EVENT_FIRST_BYTE = "http.first_byte"
