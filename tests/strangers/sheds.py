"""More than so many requests at once are refused with 503, the health check among them."""

import asyncio

from wire import arguments, serve


async def main(port, most):
    at_once = 0

    async def refuse_more(answer, work):
        nonlocal at_once
        if at_once >= most:
            work.close()
            await answer.text("too many requests at once\n", 503)
            return
        at_once += 1
        try:
            await work
        finally:
            at_once -= 1

    async def ok(answer):
        await answer.text()

    async def events(answer):
        await answer.events()

    await serve(port, {"/health": ok, "/ready": ok, "/events": events}, refuse_more)


if __name__ == "__main__":
    given = arguments(__doc__, most=16)
    asyncio.run(main(given.port, given.most))
