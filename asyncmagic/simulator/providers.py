"""How each provider words an error and names a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from asyncmagic.simulator.schema import Json

MESSAGES = {
    400: "The request is not valid.",
    401: "The API key is not valid.",
    404: "There is no such endpoint here.",
    408: "The request took too long.",
    429: "Rate limit reached: too many requests. Please try again later.",
    500: "The server had an error while processing your request.",
    503: "The server is overloaded. Please try again later.",
    529: "Overloaded",
}


@dataclass(frozen=True, slots=True)
class Provider:
    name: str
    request_id_header: str
    error: Callable[[int, str], Json]


def _openai_error(status: int, message: str) -> Json:
    kind = {429: "rate_limit_error", 401: "authentication_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )
    code = "rate_limit_exceeded" if status == 429 else None
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic_error(status: int, message: str) -> Json:
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
    kind = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def _google_error(status: int, message: str) -> Json:
    kinds = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": kinds.get(status, "INVALID_ARGUMENT")}}


def _mistral_error(status: int, message: str) -> Json:
    kind = {401: "unauthorized", 429: "rate_limited"}.get(status, "invalid_request")
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": "1300" if status == 429 else None,
    }


def _cohere_error(status: int, message: str) -> Json:
    return {"id": "6f0e4d5c", "message": message}


def _ollama_error(status: int, message: str) -> Json:
    return {"error": message}


OPENAI = Provider("openai", "x-request-id", _openai_error)
ANTHROPIC = Provider("anthropic", "request-id", _anthropic_error)
GOOGLE = Provider("google", "x-request-id", _google_error)
GROQ = Provider("groq", "x-request-id", _openai_error)
MISTRAL = Provider("mistral", "x-request-id", _mistral_error)
COHERE = Provider("cohere", "x-request-id", _cohere_error)
OLLAMA = Provider("ollama", "x-request-id", _ollama_error)
