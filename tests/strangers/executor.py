"""Two pools in one process. A blocking client holds a thread of the loop's default executor for a whole
stream. A route that needs a thread uses the other pool, where there are plenty.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from wire import arguments, serve


async def main(port, threads):
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(threads))
    others = ThreadPoolExecutor(40)

    async def health(answer):
        await answer.text()

    async def ready(answer):
        await answer.text(await loop.run_in_executor(others, lambda: "ok\n"))

    async def default(answer):
        await answer.text(await asyncio.to_thread(lambda: "ok\n"))

    async def events(answer):
        chunks, is_over = asyncio.Queue(), []

        def blocking_client():
            for number in range(3000):
                if is_over:
                    return
                loop.call_soon_threadsafe(chunks.put_nowait, number)
                time.sleep(0.1)

        answer.begin_events()
        loop.run_in_executor(None, blocking_client)
        try:
            while True:
                await answer.event(await chunks.get())
        finally:
            is_over.append(True)

    routes = {"/health": health, "/ready": ready, "/default": default, "/events": events}
    await serve(port, routes)


if __name__ == "__main__":
    given = arguments(__doc__, threads=6)
    asyncio.run(main(given.port, given.threads))
