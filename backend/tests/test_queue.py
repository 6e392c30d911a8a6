import asyncio
import threading
from contextlib import suppress

import pytest

from batch.queue import MAX_WAITING, Queue
from errors import TooManyBatches


def test_batches_have_their_turns_one_at_a_time_in_order():
    queue, log = Queue(), []

    async def ask(number):
        async with queue.turn():
            for _ in range(3):
                await asyncio.sleep(0)
                log.append(number)

    async def ask_all():
        await asyncio.gather(*map(ask, range(5)))

    asyncio.run(ask_all())

    assert log == [number for number in range(5) for _ in range(3)]


def test_one_too_many_is_sent_away_until_a_place_is_free():
    queue = Queue()

    async def stay():
        async with queue.turn():
            await asyncio.Event().wait()

    async def fill():
        waiting = [asyncio.create_task(stay()) for _ in range(MAX_WAITING + 1)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyBatches, match="8 batches are waiting") as error:
            await asyncio.wait_for(stay(), 20)
        waiting[3].cancel()
        await asyncio.wait({waiting[3]})
        with pytest.raises(TimeoutError):  # in queue
            await asyncio.wait_for(stay(), 0.05)
        return error.value

    assert asyncio.run(fill()).headers == {"Retry-After": "10"}


def test_one_thing_is_done_at_a_time_even_if_its_caller_has_left():
    queue, gate, begun = Queue(), threading.Event(), []

    def work():
        begun.append(threading.current_thread())
        gate.wait(20)

    async def leave():
        async with queue.turn():
            with suppress(TimeoutError):
                await asyncio.wait_for(queue.run(work), 0.05)

    async def leave_all():
        await asyncio.gather(*(leave() for _ in range(3)))

    asyncio.run(leave_all())
    assert len(begun) == 1

    gate.set()
    queue.close()
    begun[0].join(20)
    assert not begun[0].is_alive()
