"""A consumer of Channels': one WebSocket, many messages, each in a transaction of its own."""

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db.models import F

from tests.library.models import Book
from vinyl import transaction


class Stock(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content):
        async with transaction.atomic():
            book = await Book.vinyl.select_for_update().get(title=content["sold"])
            await book.update(stock=F("stock") - 1)
        await self.send_json({"left": book.stock})
