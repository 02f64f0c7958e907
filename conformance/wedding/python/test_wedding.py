"""Stock python-socketio in `wedding`: a wish and its answer, a task, messages; acks and events arrive as one object.

In: RELAIS_URL, RELAIS_JWT_SECRET.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
import unittest
import uuid

import socketio

URL = os.environ.get("RELAIS_URL", "http://127.0.0.1:3001")
SECRET = os.environ.get("RELAIS_JWT_SECRET", "")
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


class Guest:
    """One asyncio client, with its events in a queue as `(name, arguments)`."""

    def __init__(self, wedding, name, role):
        self.id = f"{name.lower()}-{uuid.uuid4().hex[:8]}"
        self.token = token(sub=self.id, name=name, role=role, weddingId=wedding)
        self.client = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.2)
        self.inbox = asyncio.Queue()
        self.client.on("*", lambda event, *args: self.inbox.put_nowait((event, args)))

    async def connect(self, transports):
        await self.client.connect(URL, auth={"token": self.token}, transports=transports, wait_timeout=DEADLINE)
        self.hello = await self.next("connected")
        self.online = await self.next("online_users")
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


class Wedding(unittest.IsolatedAsyncioTestCase):
    async def party(self, transports):
        wedding = f"wedding-{uuid.uuid4().hex[:8]}"
        people = [("Odile", "guest"), ("Marco", "dj"), ("Jo", "planner")]
        guests = [await Guest(wedding, *person).connect(transports) for person in people]
        for guest in guests:
            self.addAsyncCleanup(guest.client.disconnect)
        return wedding, guests

    async def test_a_song_and_its_answer(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                wedding, (odile, dj, _) = await self.party(transports)
                self.assertEqual((odile.hello["userId"], odile.hello["weddingId"]), (odile.id, wedding))
                self.assertEqual({user["userId"] for user in dj.online}, {odile.id, dj.id})
                answer = await odile.ask("music_request", {"songTitle": "Ça ira 😀", "artist": "Piaf"})
                self.assertTrue(answer["success"])
                request = await dj.next("music_request")
                self.assertEqual(request, answer["request"])
                answer = await dj.ask("accept_music", {"requestId": request["id"]})
                self.assertEqual(answer["request"]["status"], "accepted")
                for guest in (odile, dj):
                    told = await guest.next("music_request_updated")
                    self.assertEqual((told["id"], told["status"]), (request["id"], "accepted"))
                again = await dj.ask("reject_music", {"requestId": request["id"]})
                self.assertEqual(again["error"]["code"], "INVALID_STATE")

    async def test_a_task_is_assigned(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                _, (odile, dj, planner) = await self.party(transports)
                answer = await planner.ask("task_update", {"updates": {"title": "Cake", "assignedTo": odile.id}})
                told = {"task": answer["task"], "message": "Cake", "assignedBy": planner.id}
                self.assertEqual(await odile.next("task_assigned"), told)
                self.assertEqual(await dj.next("task_updated"), {"task": answer["task"], "updatedBy": planner.id})

    async def test_messages_and_a_refusal(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                _, (odile, dj, planner) = await self.party(transports)
                answer = await odile.ask("send_message", {"content": "for you", "recipientId": dj.id})
                self.assertEqual(await dj.next("new_message"), answer["message"])
                page = await dj.ask("get_messages", {"recipientId": odile.id})
                self.assertEqual(page, {"success": True, "messages": [answer["message"]], "hasMore": False})
                self.assertEqual((await planner.ask("get_messages", {"recipientId": odile.id}))["messages"], [])
                refused = await odile.ask("accept_music", {"requestId": "x"})
                self.assertEqual((refused["success"], refused["error"]["code"]), (False, "FORBIDDEN"))

    async def test_a_token_without_a_wedding_says_its_code(self):
        client = socketio.AsyncClient()
        refused = asyncio.get_running_loop().create_future()
        client.on("connect_error", lambda data: refused.done() or refused.set_result(data))
        with self.assertRaises(socketio.exceptions.ConnectionError):
            await client.connect(URL, auth={"token": token(sub="x")}, transports=["websocket"], wait_timeout=DEADLINE)
        data = await asyncio.wait_for(refused, DEADLINE)
        self.assertEqual(data["data"], {"code": "TENANT_REQUIRED"})
        await client.disconnect()


if __name__ == "__main__":
    unittest.main()
