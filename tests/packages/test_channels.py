"""A consumer of Channels' that uses vinyl, by a WebSocket."""

import json

import pytest
from asgiref.testing import ApplicationCommunicator

from tests.library.models import Author, Book
from tests.packages.consumers import Stock

pytestmark = [pytest.mark.asynchronous, pytest.mark.usefixtures("db")]

SCOPE = {"type": "websocket", "path": "/stock/", "query_string": b"", "headers": [], "subprotocols": []}


async def test_each_message_is_a_transaction():
    author = await Author.vinyl.create(name="Jane")
    await Book.vinyl.create(title="Emma", author=author, stock=3)
    socket = ApplicationCommunicator(Stock.as_asgi(), SCOPE)
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(10))["type"] == "websocket.accept"
    left = []
    for _ in range(2):
        await socket.send_input({"type": "websocket.receive", "text": json.dumps({"sold": "Emma"})})
        left.append(json.loads((await socket.receive_output(10))["text"])["left"])
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(10)
    assert left == [2, 1]
    assert (await Book.vinyl.get(title="Emma")).stock == 1
