"""The calls of the demo: what is asked of both servers, and what an answer says once the accidental is taken out."""

import json
import re
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import httpx

from demo_parts.problem import Problem
from demo_parts.servers import Server

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What differs from one answer to the next, whoever gives it.
ACCIDENTAL = [
    (UUID, "<reference>"),
    (re.compile(r'name="csrfmiddlewaretoken" value="\w+"'), "<csrf token>"),
    (re.compile(r'"placed_at": "[^"]+"'), '"placed_at": "<time>"'),
    (re.compile(r"placed on [^<]+"), "placed on <time>"),
]


@dataclass(frozen=True)
class Call:
    """One call. `{order}` in the path stands for the order that was placed last."""

    method: str
    path: str
    status: int = 200
    json: Any = None
    form: dict[str, str] | None = None
    label: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.label or self.path}"


@dataclass(frozen=True)
class Answer:
    """What came back: `content` can be compared, the other two can be measured."""

    content: tuple[Any, ...]
    milliseconds: float
    queries: int


def script(record: int, other: int, customer: dict[str, str], tag: str) -> list[Call]:
    """Return the calls in their order; together they leave behind one customer and one tag, and nothing else."""
    two = {"customer": customer, "lines": [{"record": record, "quantity": 2}, {"record": other, "quantity": 1}]}
    # The first line could be delivered, so this also sees whether all of the order is taken back.
    many = {"customer": customer, "lines": [{"record": record, "quantity": 1}, {"record": other, "quantity": 999}]}
    return [
        Call("GET", "/"),
        Call("GET", "/?q=blue&tag=jazz&sort=cheapest", label="/?q=…&tag=…&sort=…"),
        Call("GET", f"/records/{record}/"),
        Call("GET", "/prices.csv"),
        Call("GET", "/api/records/"),
        Call("GET", "/api/records/?format=lp&max_price=20&page=3", label="/api/records/?format=…&page=3"),
        Call("GET", f"/api/records/{record}/"),
        Call("GET", "/api/records/999999/", 404),
        Call("GET", "/api/search/?q=quiet", label="/api/search/?q=…"),
        Call("GET", "/api/search/", 400),
        Call("GET", "/api/artists/top/"),
        Call("GET", "/api/statistics/"),
        Call("POST", f"/records/{record}/", 302, form=customer),
        Call("GET", "/orders/{order}/", label="/orders/…/"),
        Call("DELETE", "/api/orders/{order}/", 204, label="/api/orders/…/"),
        Call("GET", "/api/orders/{order}/", 404, label="/api/orders/…/ (cancelled)"),
        Call("POST", "/api/orders/", 201, json=two),
        Call("GET", "/api/orders/{order}/", label="/api/orders/…/"),
        Call("POST", "/api/orders/", 409, json=many, label="/api/orders/ (too many)"),
        Call("DELETE", "/api/orders/{order}/", 204, label="/api/orders/…/ (two lines)"),
        Call("POST", "/api/tags/", 201, json={"name": tag}),
        Call("POST", "/api/tags/", 200, json={"name": tag}, label="/api/tags/ (again)"),
    ]


class Visitor:
    """A client of one server, with its cookies, which remembers what it has ordered."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._http = httpx.Client(base_url=server.url, timeout=20, trust_env=False)
        self._order = ""

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def make(self, call: Call) -> Answer:
        """Make the call; raise Problem for an answer that is wrong by itself, whatever the other server says."""
        path = call.path.format(order=self._order)
        headers = {"X-CSRFToken": self._http.cookies.get("csrftoken") or ""}
        started = perf_counter()
        try:
            response = self._http.request(call.method, path, json=call.json, data=call.form, headers=headers)
        except httpx.HTTPError as error:
            raise Problem(f"{self.server.name}: {call} failed: {error}", self.server.last_words()) from error
        elapsed = (perf_counter() - started) * 1000
        if response.status_code != call.status:
            raise Problem(
                f"{self.server.name} answered {call} with {response.status_code} instead of {call.status}:\n"
                f"{response.text[:500]}",
                self.server.last_words(),
            )
        self._remember_order(call, response)
        return Answer(content(response), elapsed, int(response.headers["X-Queries"]))

    def _remember_order(self, call: Call, response: httpx.Response) -> None:
        placed = UUID.search(response.headers.get("Location", "") + response.text)
        if call.method == "POST" and placed:
            self._order = placed[0]


def content(response: httpx.Response) -> tuple[Any, ...]:
    """Return what is to be equal: status, kind, where it leads, and the body, JSON as data."""
    kind = response.headers.get("Content-Type", "")
    body = without_accidental(response.text)
    return (
        response.status_code,
        kind,
        without_accidental(response.headers.get("Location", "")),
        json.loads(body) if kind == "application/json" else body,
    )


def without_accidental(text: str) -> str:
    """Replace what differs by chance: references, tokens, times."""
    for pattern, replacement in ACCIDENTAL:
        text = pattern.sub(replacement, text)
    return text
