"""Stock python-socketio, synchronous and asyncio, over each way of transport, against the protocol-level server.

In: RELAIS_ENGINE_URL; `lib/python` in PYTHONPATH. Nothing of the library is changed; what it hands to its handlers is what is asserted.
"""

import asyncio
import os
import queue
import unittest

import socketio
from stock import DEADLINE, WAYS

URL = os.environ.get("RELAIS_ENGINE_URL", "http://localhost:3000")
MAX_PAYLOAD = 1_000_000
# A polling payload of more than 16 packets ends this client's connection, and the reference sends such payloads.
BURST = 12


def sync_client():
    client = socketio.Client(reconnection_delay=0.05, reconnection_delay_max=0.2)
    inbox = queue.Queue()
    client.on("*", lambda event, *args: inbox.put((event, args)))
    return client, inbox


class Synchronous(unittest.TestCase):
    def each_way(self, body):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                client, inbox = sync_client()
                client.connect(URL, auth={"token": "123"}, transports=transports, wait_timeout=DEADLINE)
                try:
                    self.assertEqual(inbox.get(timeout=DEADLINE), ("auth", ({"token": "123"},)))
                    body(client, inbox, transports)
                finally:
                    client.disconnect()

    def test_uses_the_transport_that_it_was_told_to_use(self):
        def body(client, _, transports):
            self.assertEqual(client.transport(), transports[-1])

        self.each_way(body)

    def test_events_come_back_with_the_same_arguments(self):
        def body(client, inbox, _):
            sent = [(n, f"text {n} é😀", {"n": [n, None, True]}) for n in range(BURST)]
            for arguments in sent:
                client.emit("message", arguments)
            # This client runs each handler in a thread of its own, so their order is its own too.
            got = [inbox.get(timeout=DEADLINE) for _ in sent]
            self.assertCountEqual(got, [("message-back", arguments) for arguments in sent])

        self.each_way(body)

    def test_one_object_arrives_as_one_positional_argument(self):
        def body(client, inbox, _):
            client.emit("message", {"one": "object"})
            self.assertEqual(inbox.get(timeout=DEADLINE), ("message-back", ({"one": "object"},)))
            self.assertEqual(client.call("message-with-ack", {"a": 1}, timeout=DEADLINE), {"a": 1})

        self.each_way(body)

    def test_bytes_come_back_as_the_same_bytes(self):
        def body(client, inbox, _):
            client.emit("message", (b"\x01\x02\x03", {"inside": [b"\x04\x05"]}))
            self.assertEqual(inbox.get(timeout=DEADLINE), ("message-back", (b"\x01\x02\x03", {"inside": [b"\x04\x05"]})))
            self.assertEqual(client.call("message-with-ack", b"\x09", timeout=DEADLINE), b"\x09")

        self.each_way(body)

    def test_a_message_near_the_limit_comes_back_whole(self):
        def body(client, _, __):
            text = "x" * (MAX_PAYLOAD - 200)
            self.assertEqual(client.call("message-with-ack", text, timeout=DEADLINE), text)

        self.each_way(body)

    def test_a_namespace_that_does_not_exist_is_refused(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                client, _ = sync_client()
                with self.assertRaises(socketio.exceptions.ConnectionError):
                    client.connect(URL, namespaces=["/nowhere"], transports=transports, wait_timeout=DEADLINE, retry=False)
                client.disconnect()


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def open(self, transports, namespaces=None, auth=None):
        client = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.2)
        inbox = asyncio.Queue()
        for namespace in namespaces or ["/"]:

            def keep(event, *args, namespace=namespace):
                inbox.put_nowait((namespace, event, args))

            client.on("*", keep, namespace=namespace)
        await client.connect(URL, auth=auth, transports=transports, namespaces=namespaces, wait_timeout=DEADLINE)
        return client, inbox

    async def test_events_bytes_and_acks_come_back(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                client, inbox = await self.open(transports, auth={"token": "abc"})
                self.assertEqual(await asyncio.wait_for(inbox.get(), DEADLINE), ("/", "auth", ({"token": "abc"},)))
                await client.emit("message", ("text", b"\x00\xff", {"list": [1]}))
                expected = ("/", "message-back", ("text", b"\x00\xff", {"list": [1]}))
                self.assertEqual(await asyncio.wait_for(inbox.get(), DEADLINE), expected)
                self.assertEqual(await client.call("message-with-ack", {"a": [1]}, timeout=DEADLINE), {"a": [1]})
                await client.disconnect()

    async def test_events_come_back_in_their_order(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                client, inbox = await self.open(transports)
                await asyncio.wait_for(inbox.get(), DEADLINE)
                for n in range(BURST):
                    await client.emit("message", n)
                got = [(await asyncio.wait_for(inbox.get(), DEADLINE))[2][0] for _ in range(BURST)]
                self.assertEqual(got, list(range(BURST)))
                await client.disconnect()

    async def test_namespaces_share_one_connection_and_leaving_one_leaves_the_other(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                client, inbox = await self.open(transports, namespaces=["/", "/custom"], auth={"k": 1})
                got = [await asyncio.wait_for(inbox.get(), DEADLINE) for _ in range(2)]
                self.assertCountEqual(got, [("/", "auth", ({"k": 1},)), ("/custom", "auth", ({"k": 1},))])
                self.assertEqual(await client.call("message-with-ack", "still here", timeout=DEADLINE), "still here")
                await client.disconnect()

    async def test_comes_back_by_itself_after_the_link_was_cut(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                proxy = Cuttable(URL)
                address = await proxy.start()
                client = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.2)
                connects = asyncio.Queue()
                client.on("connect", lambda: connects.put_nowait(client.get_sid()))
                await client.connect(address, transports=transports, wait_timeout=DEADLINE)
                first = await asyncio.wait_for(connects.get(), DEADLINE)
                gone = asyncio.Event()
                client.on("disconnect", lambda *reason: gone.set())
                while not gone.is_set():  # Between two polls there is no link to cut.
                    proxy.cut()
                    await asyncio.sleep(0.005)
                second = await asyncio.wait_for(connects.get(), DEADLINE)
                self.assertNotEqual(first, second)
                self.assertEqual(await client.call("message-with-ack", "again", timeout=DEADLINE), "again")
                await client.disconnect()
                await proxy.stop()

    async def test_an_idle_connection_lives_over_many_heartbeats(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                client, _ = await self.open(transports)
                ended = []
                client.on("disconnect", lambda *reason: ended.append(reason))
                await asyncio.sleep(2)  # Four periods of interval and timeout: the period is what is tested.
                self.assertEqual(ended, [])
                self.assertEqual(await client.call("message-with-ack", "alive", timeout=DEADLINE), "alive")
                await client.disconnect()


class Cuttable:
    """A TCP proxy whose links can be torn away."""

    def __init__(self, url):
        host, port = url.split("//")[1].rsplit(":", 1)
        self.target = (host.strip("[]"), int(port.strip("/")))
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def accept(self, reader, writer):
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.target)
        self.writers |= {writer, upstream_writer}
        await asyncio.gather(self.pump(reader, upstream_writer), self.pump(upstream_reader, writer))
        self.writers -= {writer, upstream_writer}

    async def pump(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def cut(self):
        for writer in self.writers:
            writer.transport.abort()

    async def stop(self):
        self.cut()
        self.server.close()


if __name__ == "__main__":
    unittest.main()
