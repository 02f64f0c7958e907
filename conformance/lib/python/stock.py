"""What the Python tests share: addresses and keys of the run, tokens, and python-socketio as it comes, with its events in a queue.

In: RELAIS_URL, RELAIS_JWT_SECRET, RELAIS_API_KEY. Out: clients of people, and refusals. It knows nothing of any application.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time

import socketio

URL = os.environ.get("RELAIS_URL", "http://127.0.0.1:3001")
SECRET = os.environ.get("RELAIS_JWT_SECRET", "")
KEY = os.environ.get("RELAIS_API_KEY", "")
REFERENCE = os.environ.get("RELAIS_REFERENCE") == "1"
DEADLINE = 5
WAYS = {
    "polling only": ["polling"],
    "WebSocket only": ["websocket"],
    "polling, then upgrade": ["polling", "websocket"],
}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(*, secret=SECRET, **claims):
    """A token for an hour, signed as the server expects."""
    header = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = encode(json.dumps({"exp": int(time.time()) + 3600, **claims}).encode())
    text = header + b"." + body
    return (text + b"." + encode(hmac.new(secret.encode(), text, hashlib.sha256).digest())).decode()


class Person:
    """One asyncio client of somebody; `greetings` are the events that come right after `connected`, kept by name."""

    greetings = ()

    def __init__(self, user, **claims):
        self.id = user
        self.token = token(sub=user, **claims)
        self.client = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.2)
        self.inbox = asyncio.Queue()
        self.client.on("*", lambda event, *args: self.inbox.put_nowait((event, args)))

    async def connect(self, transports):
        await self.client.connect(URL, auth={"token": self.token}, transports=transports, wait_timeout=DEADLINE)
        self.hello = await self.next("connected")
        self.greeted = {event: await self.next(event) for event in self.greetings}
        return self

    async def next(self, name):
        """The data of the next event of that name, and nothing behind it but the offset that the reference puts there."""
        while True:
            event, args = await asyncio.wait_for(self.inbox.get(), DEADLINE)
            if event == name:
                assert len(args) == (2 if REFERENCE else 1), (event, args)
                return args[0]

    async def ask(self, event, data=None):
        return await self.client.call(event, data, timeout=DEADLINE)


async def refusal(test, bearer, transports):
    """What a client is told whose token is refused."""
    client = socketio.AsyncClient()
    refused = asyncio.get_running_loop().create_future()
    client.on("connect_error", lambda data: refused.done() or refused.set_result(data))
    with test.assertRaises(socketio.exceptions.ConnectionError):
        await client.connect(URL, auth={"token": bearer}, transports=transports, wait_timeout=DEADLINE)
    data = await asyncio.wait_for(refused, DEADLINE)
    await client.disconnect()
    return data["data"]
