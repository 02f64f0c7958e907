"""A school over `websockets`, as a team that comes from Django Channels would test it: its addresses, frames and tokens.

In: the binary (RELAIS_BIN), `lib/python` in PYTHONPATH; the server is started and ended here. What connects is `websockets`.
"""

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

import websockets
from stock import token

DEADLINE_S = 10


def free_port():
    first = int(os.environ.get("RELAIS_TEST_PORTS", "4200"))
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port")


class Server:
    def __init__(self):
        self.key = secrets.token_hex(32)
        self.data = tempfile.mkdtemp(prefix="relais-classroom-")
        self.port = free_port()
        self.start()

    def start(self):
        env = {
            **os.environ,
            "JWT_SECRET": self.key,
            "API_KEY": secrets.token_hex(16),
            "WS_PORT": str(self.port),
            "WS_HOST": "127.0.0.1",
            "RELAIS_DATA": self.data,
            "RELAIS_APP": "classroom",
            "RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX": "0",
        }
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([os.environ["RELAIS_BIN"], "serve"], env=env, stdout=quiet, stderr=quiet)
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def remove(self):
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def token(self, **claims):
        return token(secret=self.key, **claims)

    def http(self, method, path, token, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status, json.loads(answer.read())


class Client:
    """One connection; frames that were not waited for yet stay."""

    def __init__(self, connection):
        self.connection = connection
        self.waiting = []
        self.position = None
        self.ids = 0

    @classmethod
    async def connect(cls, server, path, token, **query):
        more = "".join(f"&{name}={value}" for name, value in query.items())
        address = f"ws://127.0.0.1:{server.port}{path}?token={token}{more}"
        client = cls(await websockets.connect(address))
        client.hello = await client.next("connected")
        return client

    async def frame(self, fits):
        for index, frame in enumerate(self.waiting):
            if fits(frame):
                return self.waiting.pop(index)
        while True:
            frame = json.loads(await asyncio.wait_for(self.connection.recv(), DEADLINE_S))
            self.position = frame.get("position", self.position)
            if fits(frame):
                return frame
            self.waiting.append(frame)

    async def next(self, kind):
        return (await self.frame(lambda frame: frame["type"] == kind))["data"]

    async def send(self, kind, **data):
        await self.connection.send(json.dumps({"type": kind, "data": data}))

    async def ask(self, kind, **data):
        self.ids += 1
        number = str(self.ids)
        await self.connection.send(json.dumps({"type": kind, "data": data, "id": number}))
        return (await self.frame(lambda frame: frame["type"] == "ack" and frame["id"] == number))["data"]

    async def close(self):
        await self.connection.close()


class Classroom(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()

    async def asyncSetUp(self):
        self.room = f"class-{secrets.token_hex(4)}"
        self.martin = self.person("martin", "teacher")
        self.leo = self.person("leo", "student")

    def person(self, name, role):
        user = f"{name}-{secrets.token_hex(4)}"
        return user, self.server.token(sub=user, name=name.title(), role=role, rooms=[self.room])

    async def enter(self, person, **query):
        client = await Client.connect(self.server, f"/ws/chat/{self.room}/", person[1], **query)
        self.addAsyncCleanup(client.close)
        if not query:
            await client.next("room_joined")
        return client

    async def test_a_class_talks_types_edits_and_deletes(self):
        teacher, pupil = await self.enter(self.martin), await self.enter(self.leo)
        await teacher.send("typing_start", roomId=self.room)
        self.assertTrue((await pupil.next("typing"))["isTyping"])
        answer = await teacher.ask("send_message", roomId=self.room, content="Good morning")
        self.assertTrue(answer["success"])
        self.assertEqual(await pupil.next("message"), answer["message"])
        await teacher.ask("edit_message", messageId=answer["message"]["id"], content="Good evening")
        self.assertEqual((await pupil.next("message_updated"))["content"], "Good evening")
        await teacher.ask("delete_message", messageId=answer["message"]["id"])
        self.assertEqual((await pupil.next("message_deleted"))["deletedBy"], self.martin[0])

    async def test_rooms_and_mentions(self):
        status, room = self.server.http("POST", "/api/rooms", self.martin[1], {"id": self.room, "name": "5B", "kind": "announcement"})
        self.assertEqual((status, room["name"], room["kind"]), (201, "5B", "announcement"))
        pupil = await Client.connect(self.server, "/ws/chat/", self.leo[1])
        self.addAsyncCleanup(pupil.close)
        teacher = await self.enter(self.martin)
        await teacher.ask("send_message", roomId=self.room, content="See me, @LEO")
        self.assertEqual((await pupil.next("mention"))["excerpt"], "See me, @LEO")
        rooms = (await pupil.ask("get_rooms"))["rooms"]
        self.assertEqual([(one["id"], one["unread"]) for one in rooms], [(self.room, 1)])
        await pupil.ask("join_room", roomId=self.room)
        refused = await pupil.ask("send_message", roomId=self.room, content="Me?")
        self.assertEqual(refused["error"]["code"], "FORBIDDEN")

    async def test_errors_leave_the_connection_open(self):
        pupil = await self.enter(self.leo)
        await pupil.connection.send("no json")
        self.assertEqual((await pupil.next("error"))["code"], "INVALID_PAYLOAD")
        self.assertEqual((await pupil.ask("dance"))["error"]["code"], "UNKNOWN_EVENT")
        self.assertEqual((await pupil.ask("join_room", roomId="other"))["error"]["code"], "NOT_A_MEMBER")
        self.assertTrue((await pupil.ask("ping"))["success"])

    async def test_a_token_that_is_none_is_a_close_code(self):
        connection = await websockets.connect(f"ws://127.0.0.1:{self.server.port}/ws/chat/?token=x")
        with self.assertRaises(websockets.exceptions.ConnectionClosed) as closed:
            await asyncio.wait_for(connection.recv(), DEADLINE_S)
        self.assertEqual((closed.exception.rcvd.code, closed.exception.rcvd.reason), (1008, "TOKEN_INVALID"))

    async def test_a_session_goes_on_after_the_server_was_killed(self):
        teacher, pupil = await self.enter(self.martin), await self.enter(self.leo)
        await teacher.ask("send_message", roomId=self.room, content="before")
        await pupil.next("message")
        session, after = pupil.hello["sessionId"], pupil.position
        await teacher.ask("send_message", roomId=self.room, content="missed")
        self.server.kill()
        self.server.start()
        back = await self.enter(self.leo, resume=session, after=after)
        self.assertTrue(back.hello["resumed"])
        self.assertEqual((await back.next("message"))["content"], "missed")


if __name__ == "__main__":
    unittest.main()
