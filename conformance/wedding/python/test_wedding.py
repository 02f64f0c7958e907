"""Stock python-socketio in `wedding`: a wish and its answer, a task, messages; acks and events arrive as one object.

In: RELAIS_URL, RELAIS_JWT_SECRET; `lib/python` in PYTHONPATH.
"""

import unittest
import uuid

from stock import WAYS, Person, refusal, token


class Guest(Person):
    greetings = ("online_users",)

    def __init__(self, wedding, name, role):
        super().__init__(f"{name.lower()}-{uuid.uuid4().hex[:8]}", name=name, role=role, weddingId=wedding)


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
                self.assertEqual({user["userId"] for user in dj.greeted["online_users"]}, {odile.id, dj.id})
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
        self.assertEqual(await refusal(self, token(sub="x"), ["websocket"]), {"code": "TENANT_REQUIRED"})


if __name__ == "__main__":
    unittest.main()
