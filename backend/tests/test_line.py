import asyncio
import threading

import pytest

from batch.line import MAX_WAITING, Line
from errors import TooManyBatches
from worker.exchange import ExchangeError
from worker.nursery import find_nursery

GIBIBYTE = 2**30


@pytest.fixture
def line():
    line = Line()
    yield line
    line.close()


def test_batches_have_their_turns_one_at_a_time_in_order(line):
    log = []

    async def ask(number):
        async with line.place() as place:
            await place.wait_for_turn()
            for _ in range(3):
                await place.run(lambda: log.append(number))

    async def ask_all():
        await asyncio.gather(*map(ask, range(5)))

    asyncio.run(ask_all())

    assert log == [number for number in range(5) for _ in range(3)]


def test_one_too_many_is_sent_away_until_a_place_is_free(line):
    async def stay():
        async with line.place() as place:
            await place.wait_for_turn()
            await asyncio.Event().wait()

    async def fill():
        waiting = [asyncio.create_task(stay()) for _ in range(MAX_WAITING + 1)]
        async with line.place(), line.place():  # as long as their bodies come in
            await asyncio.sleep(0)
        with pytest.raises(TooManyBatches, match="8 batches are waiting") as error:
            await asyncio.wait_for(stay(), 20)
        waiting[3].cancel()
        await asyncio.wait({waiting[3]})
        with pytest.raises(TimeoutError):  # in line
            await asyncio.wait_for(stay(), 0.05)
        return error.value

    assert asyncio.run(fill()).headers == {"Retry-After": "10"}


def test_who_leaves_stops_the_thread_and_lets_the_next_one_in(line):
    started, stopped = threading.Event(), threading.Event()

    def work(place):
        process = find_nursery().fork(GIBIBYTE)
        place.employ(process)
        process.receive(20)
        started.set()
        with pytest.raises(ExchangeError):
            process.receive(20)  # nothing more, as it has been asked for nothing
        stopped.set()

    async def ask_and_leave():
        async with line.place() as place:
            await place.wait_for_turn()
            await place.run(lambda: work(place))

    async def ask_after():
        task = asyncio.create_task(ask_and_leave())
        await asyncio.to_thread(started.wait, 20)
        task.cancel()
        async with line.place() as place:
            await place.wait_for_turn()
            return await place.run(stopped.is_set)

    assert asyncio.run(ask_after())


def test_the_thread_ends_with_the_line():
    line = Line()

    async def ask():
        async with line.place() as place:
            return await place.run(threading.current_thread)

    thread = asyncio.run(ask())
    line.close()
    thread.join(20)

    assert not thread.is_alive()
