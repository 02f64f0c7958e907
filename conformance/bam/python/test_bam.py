"""Stock python-socketio in `bam`: two people talk, acks and events arrive as one object, nothing of recovery shows.

In: RELAIS_URL, RELAIS_JWT_SECRET; `lib/python` in PYTHONPATH.
"""

import asyncio
import unittest
import uuid

import aiohttp
from stock import REFERENCE, URL, WAYS, Person, refusal


def person(name, bam):
    return Person(f"{name.lower()}-{uuid.uuid4().hex[:8]}", name=name, bams=[bam])


class Bam(unittest.IsolatedAsyncioTestCase):
    async def room(self, transports):
        bam = f"bam-{uuid.uuid4().hex[:8]}"
        people = [await person(name, bam).connect(transports) for name in ("Alice", "Bob")]
        for one in people:
            answer = await one.ask("join-bam", bam)
            self.assertEqual((answer["success"], answer["bamId"]), (True, bam))
        return bam, people

    async def test_two_people_talk(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                bam, (alice, bob) = await self.room(transports)
                answer = await alice.ask("send-message", {"bamId": bam, "content": "héllo 😀", "tempId": "t-1"})
                self.assertTrue(answer["success"])
                message = await bob.next("new-message")
                self.assertEqual(message, answer["message"])
                self.assertEqual(message["content"], "héllo 😀")
                self.assertEqual(message["sender"], {"id": alice.id, "name": "Alice"})
                again = await alice.ask("send-message", {"bamId": bam, "content": "héllo 😀", "tempId": "t-1"})
                self.assertEqual(again, answer)
                for one in (alice, bob):
                    await one.client.disconnect()

    async def test_a_refusal_is_one_object(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                bam, (alice, bob) = await self.room(transports)
                answer = await alice.ask("send-message", {"bamId": bam, "content": ""})
                self.assertEqual((answer["success"], answer["error"]["code"]), (False, "INVALID_PAYLOAD"))
                for one in (alice, bob):
                    await one.client.disconnect()

    async def test_connected_is_one_object(self):
        alice = await person("Alice", "any").connect(["websocket"])
        self.assertEqual(alice.hello["userId"], alice.id)
        await alice.client.disconnect()

    async def test_a_refused_token_says_its_code(self):
        for way, transports in WAYS.items():
            with self.subTest(way=way):
                self.assertEqual(await refusal(self, "nonsense", transports), {"code": "TOKEN_INVALID"})

    async def test_history_by_http_is_what_was_sent(self):
        bam, (alice, bob) = await self.room(["websocket"])
        sent = [(await alice.ask("send-message", {"bamId": bam, "content": f"{n}"}))["message"] for n in range(5)]
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {bob.token}"}) as http:
            async with http.get(f"{URL}/bams/{bam}/messages") as response:
                self.assertEqual(await response.json(), {"messages": sent, "hasMore": False})
        for one in (alice, bob):
            await one.client.disconnect()

    @unittest.skipIf(REFERENCE, "beyond the reference: a payload of more than 16 packets ends this client's connection")
    async def test_a_burst_reaches_a_polling_client_whole(self):
        bam, (alice, bob) = await self.room(["websocket"])
        reader = await person("Chloé", bam).connect(["polling"])
        await reader.ask("join-bam", bam)
        await asyncio.gather(*(alice.ask("send-message", {"bamId": bam, "content": f"{n}"}) for n in range(60)))
        seqs = [(await reader.next("new-message"))["seq"] for _ in range(60)]
        self.assertEqual(seqs, list(range(1, 61)))
        for one in (alice, bob, reader):
            await one.client.disconnect()


if __name__ == "__main__":
    unittest.main()
