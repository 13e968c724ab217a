"""A few lines of HTTP on asyncio streams, for the services of this folder that answer on an event loop.

A service gives `serve` a table of paths. Each path has a coroutine that takes an `Answer`.
"""

import argparse
import asyncio

REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests", 503: "Service Unavailable"}


class Answer:
    """What goes back to one client."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def head(self, status, kind):
        self.writer.write(
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode()
        )

    async def text(self, text="ok\n", status=200, kind="text/plain"):
        self.head(status, kind)
        self.writer.write(text.encode())
        await self.writer.drain()

    def begin_events(self):
        self.head(200, "text/event-stream")

    async def event(self, number):
        self.writer.write(b"data: {\"n\": %d}\n\n" % number)
        await self.writer.drain()

    async def events(self, seconds=0.1, count=4000):
        """A stream of events at a steady pace."""
        self.begin_events()
        for number in range(count):
            await self.event(number)
            await asyncio.sleep(seconds)


async def handle(reader, writer, routes, around):
    answer = Answer(reader, writer)
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        path = request.split(b" ")[1].decode().partition("?")[0]
        route = routes.get(path)
        work = route(answer) if route else answer.text("no such path\n", 404)
        work = asyncio.ensure_future(around(answer, work) if around else work)
        # What a client sends after its request is its end of file: it has hung up.
        gone = asyncio.ensure_future(reader.read())
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def serve(port, routes, around=None):
    """Answers until the process ends. `around(answer, work)` is asked to do the work of each request."""
    server = await asyncio.start_server(
        lambda reader, writer: handle(reader, writer, routes, around), "127.0.0.1", port, backlog=512
    )
    async with server:
        await server.serve_forever()


def arguments(about, **numbers):
    """`--port`, and further flags with a number each."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()
