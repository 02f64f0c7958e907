"""Stock python-socketio in `stories`: greeted, notified, followed, typed to; acks and events are one object, ids stay numbers.

In: RELAIS_URL, RELAIS_JWT_SECRET, RELAIS_API_KEY; `lib/python` in PYTHONPATH.
"""

import random
import unittest

import aiohttp
from stock import KEY, URL, WAYS, Person


class Reader(Person):
    greetings = ("users:online",)

    def __init__(self, name, **claims):
        super().__init__(random.randrange(2**41, 2**52), name=name, **claims)


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
                self.assertIn(author.id, reader.greeted["users:online"])
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
