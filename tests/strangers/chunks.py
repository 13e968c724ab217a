"""Each chunk is waited for on a thread of a pool, as a generator that is not async makes a framework do.

A stream holds a thread until its next chunk is there, and always waits for a next chunk. So with more
streams than threads all threads are always held, and a route that needs one waits for its turn.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from wire import arguments, serve


async def main(port, threads):
    pool = ThreadPoolExecutor(threads)
    loop = asyncio.get_running_loop()

    async def health(answer):
        await answer.text()

    async def threaded(answer):
        await answer.text(await loop.run_in_executor(pool, lambda: "ok\n"))

    async def events(answer):
        answer.begin_events()
        for number in range(2000):
            await loop.run_in_executor(pool, time.sleep, 0.2)
            await answer.event(number)

    await serve(port, {"/health": health, "/threaded": threaded, "/events": events})


if __name__ == "__main__":
    given = arguments(__doc__, threads=40)
    asyncio.run(main(given.port, given.threads))
