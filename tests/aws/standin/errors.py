"""Refusals: what a service answers instead of a result, before any protocol has dressed it."""


class Refusal(Exception):
    """One error answer. `blame` says that a correct client would not have provoked it."""

    def __init__(self, code, message, status=400, blame=True, headers=None, details=None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.blame = blame
        self.headers = headers or {}
        self.details = details or {}  # further members of the answer, where its protocol has them

    @property
    def kind(self):
        return "Receiver" if self.status >= 500 else "Sender"


def invalid(message, code="ValidationError"):
    return Refusal(code, message)


def denied(message, blame=False):
    return Refusal("AccessDenied", message, 403, blame)
