"""An event loop that is well, and a semaphore: around every route, or around the streams alone.

The first is a limit that sits in a middleware. The second is how a client's own connections, or those to a
database, look from outside: the health check does not need one.
"""

import asyncio

from wire import arguments, serve


async def main(given):
    permits = asyncio.Semaphore(given.permits)

    async def limited(answer, work):
        try:
            async with permits:
                await work
        finally:
            work.close()  # who hangs up in the line has never begun

    async def ok(answer):
        await answer.text()

    async def events(answer):
        await answer.events()

    async def limited_events(answer):
        await limited(answer, answer.events())

    routes = {"/health": ok, "/ready": ok, "/events": events if given.everything else limited_events}
    await serve(given.port, routes, limited if given.everything else None)


if __name__ == "__main__":
    asyncio.run(main(arguments(__doc__, permits=8, everything=1)))
