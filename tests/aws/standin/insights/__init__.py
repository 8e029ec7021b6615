"""A subset of the Logs Insights query language: read once, run over any events."""
from .commands import Result, compile_query
from .scanner import QueryError

__all__ = ["QueryError", "Result", "compile_query"]
