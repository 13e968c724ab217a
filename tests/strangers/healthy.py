"""Nothing is wrong here: streams on the event loop, and a health check on a thread that nobody holds."""

import asyncio

from wire import arguments, serve


async def main(port):
    async def health(answer):
        await answer.text()

    async def ready(answer):
        await answer.text(await asyncio.to_thread(lambda: "ok\n"))

    async def events(answer):
        await answer.events()

    await serve(port, {"/health": health, "/ready": ready, "/events": events})


if __name__ == "__main__":
    asyncio.run(main(arguments(__doc__).port))
