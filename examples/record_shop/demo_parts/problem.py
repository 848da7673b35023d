"""The one error of the demo that is meant for people."""


class Problem(Exception):
    """The demo cannot go on. The message says why, and what helps; `log` is what a server has said last."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log
