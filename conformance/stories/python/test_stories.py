"""Stock python-socketio in `stories`: greeted, notified, followed, typed to; acks and events are one object, ids stay numbers.

In: RELAIS_URL, RELAIS_JWT_SECRET, RELAIS_API_KEY.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import time
import unittest

import aiohttp
import socketio

URL = os.environ.get("RELAIS_URL", "http://127.0.0.1:3001")
SECRET = os.environ.get("RELAIS_JWT_SECRET", "")
KEY = os.environ.get("RELAIS_API_KEY", "")
DEADLINE = 5
WAYS = {
    "polling only": ["polling"],
    "WebSocket only": ["websocket"],
    "polling, then upgrade": ["polling", "websocket"],
}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(**claims):
    header = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = encode(json.dumps({"exp": int(time.time()) + 3600, **claims}).encode())
    text = header + b"." + body
    return (text + b"." + encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest())).decode()


class Reader:
    """One asyncio client, with its events in a queue as `(name, arguments)`."""

    def __init__(self, name, **claims):
        self.id = random.randrange(2**41, 2**52)
        self.token = token(sub=self.id, name=name, **claims)
        self.client = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.2)
        self.inbox = asyncio.Queue()
        self.client.on("*", lambda event, *args: self.inbox.put_nowait((event, args)))

    async def connect(self, transports):
        await self.client.connect(URL, auth={"token": self.token}, transports=transports, wait_timeout=DEADLINE)
        self.hello = await self.next("connected")
        self.online = await self.next("users:online")
        return self

    async def next(self, name):
        """The one argument of the next event of that name."""
        while True:
            event, args = await asyncio.wait_for(self.inbox.get(), DEADLINE)
            if event == name:
                assert len(args) == 1, (event, args)
                return args[0]

    async def ask(self, event, data=None):
        return await self.client.call(event, data, timeout=DEADLINE)


class Stories(unittest.IsolatedAsyncioTestCase):
    async def both(self, transports):
        author = await Reader("Inès", role="author").connect(transports)
        reader = await Reader("Tom").connect(transports)
        return author, reader

    async def test_a_follower_and_a_notification(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                author, reader = await self.both(transports)
                self.assertEqual(author.hello["userId"], author.id)
                self.assertIn(author.id, reader.online)
                self.assertEqual(await reader.ask("follow", {"authorId": author.id}), {"success": True})
                told = await author.next("notification:received")
                self.assertEqual((told["type"], told["data"]), ("follower", {"userId": reader.id}))
                notification = {"title": "Merci", "message": "héllo 😀"}
                answer = await author.ask("send:notification", {"userId": reader.id, "notification": notification})
                self.assertEqual(answer, {"success": True})
                got = await reader.next("notification:received")
                page = await reader.ask("get:notifications", {})
                self.assertEqual((page["notifications"], page["unread"]), ([got], 1))
                answer = await reader.ask("notification:read", {"id": got["id"]})
                self.assertEqual(answer, {"success": True, "unread": 0})
                for one in (author, reader):
                    await one.client.disconnect()

    async def test_typing_and_ping(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                author, reader = await self.both(transports)
                await reader.ask("typing:start", {"recipientId": author.id})
                typing = await author.next("user:typing")
                self.assertEqual(typing, {"userId": reader.id, "userName": "Tom", "recipientId": author.id})
                answer = await reader.ask("ping")
                self.assertEqual(await reader.next("pong"), {"at": answer["at"]})
                for one in (author, reader):
                    await one.client.disconnect()

    async def test_the_backend_notifies_by_http(self):
        reader = await Reader("Tom").connect(["websocket"])
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as http:
            body = {"userId": reader.id, "title": "T", "message": "M"}
            async with http.post(f"{URL}/api/notifications", json=body) as response:
                self.assertEqual(response.status, 201)
                sent = await response.json()
        self.assertEqual(await reader.next("notification:received"), sent)
        await reader.client.disconnect()

    async def test_a_refusal_is_one_object(self):
        reader = await Reader("Tom").connect(["websocket"])
        answer = await reader.ask("send:notification", {"userId": 1, "notification": {"title": "T", "message": "M"}})
        self.assertEqual((answer["success"], answer["error"]["code"]), (False, "FORBIDDEN"))
        await reader.client.disconnect()


if __name__ == "__main__":
    unittest.main()
