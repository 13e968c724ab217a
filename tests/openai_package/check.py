"""Runs the official openai package against mock-llm, server-broken and server-fixed.

Every step is bounded in time, and the servers end with this script, whatever ends it.
The last line is `N passed, M failed`; the exit code is 1 if anything failed.
"""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import NamedTuple

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # a proxy cannot reach this loopback
import openai

BINARIES = Path(__file__).resolve().parents[2] / "target" / "release"
LIMIT = 5  # seconds to start, and between two bytes
CHECK_LIMIT = 20
RELEASE_LIMIT = 1
SLOW_INTERVAL = 2  # longer than RELEASE_LIMIT, so that no next token helps to release in time
CONCURRENT_STREAMS = 20
TOKENS = [f"tok{k} " for k in range(12)]
OPTIONS = {"api_key": "x", "timeout": LIMIT, "max_retries": 0}
QUESTION = {"model": "mock-small", "messages": [{"role": "user", "content": "count"}]}
STREAMED = {**QUESTION, "stream": True, "stream_options": {"include_usage": True}}


class Checks(NamedTuple):
    target: str
    upstream: str
    client: openai.OpenAI

    def models_are_listed(self):
        names = [model.id for model in self.client.models.list()]
        assert names == ["mock-small", "mock-large"], f"models are {names}"

    def whole_completion(self):
        completion = self.client.chat.completions.create(**QUESTION, max_completion_tokens=5)
        answer = [(c.message.role, c.message.content, c.finish_reason) for c in completion.choices]
        assert answer == [("assistant", "".join(TOKENS[:5]), "length")], f"the answer is {answer}"
        assert_usage(completion.usage, 5)

    def streamed_completion(self):
        with self.stream() as stream:
            assert_complete(list(stream))

    def bad_request_raises(self):
        error = error_of(lambda: self.client.chat.completions.create(model="mock-small", messages=[]))
        assert type(error) is openai.BadRequestError and error.param == "messages", f"raised {error!r}"

    def rate_limit_raises(self):
        error = error_of(lambda: self.stream({"x-mock-fault": "status=429"}))
        raised = (type(error), error.response.headers["retry-after"])
        assert raised == (openai.RateLimitError, "1"), f"raised {raised}"

    def error_event_raises(self):
        error = self.error_after_three_tokens("error@3")
        assert type(error) is openai.APIError and error.type == "server_error", f"raised {error!r}"

    def cut_connection_raises(self):
        error = self.error_after_three_tokens("cut@3")
        relayed = (openai.APIError, "upstream_failed")
        expected = (openai.APIConnectionError, None) if self.target == "mock-llm" else relayed
        assert (type(error), error.code) == expected, f"raised {error!r}"

    def early_close_releases_upstream(self):
        with self.stream({"x-mock-interval": f"{SLOW_INTERVAL}s"}) as stream:
            next(stream)
            assert self.upstream_stats()["open"] == 1, "the stream being read is not open at the upstream"
        # The broken server notices only when it cannot hand over the next token.
        limit = RELEASE_LIMIT + (SLOW_INTERVAL if self.target == "server-broken" else 0)
        deadline = time.monotonic() + limit
        while self.upstream_stats()["open"] > 0:
            assert time.monotonic() < deadline, f"still open at the upstream after {limit} s"
            time.sleep(0.02)

    def concurrent_async_streams(self):
        async def read_one(client):
            assert_complete([chunk async for chunk in await client.chat.completions.create(**STREAMED)])

        async def read_all():
            options = {**OPTIONS, "default_headers": {"x-mock-interval": "100ms"}}  # so that they overlap
            async with openai.AsyncOpenAI(base_url=self.client.base_url, **options) as client:
                reads = [read_one(client) for _ in range(CONCURRENT_STREAMS)]
                await asyncio.wait_for(asyncio.gather(*reads), CHECK_LIMIT / 2)

        asyncio.run(read_all())
        peak = self.upstream_stats()["open_peak"]
        assert peak == CONCURRENT_STREAMS, f"{peak} streams at once at the upstream"

    EVERYWHERE = [models_are_listed, whole_completion, streamed_completion, bad_request_raises,
                  rate_limit_raises, error_event_raises, cut_connection_raises, early_close_releases_upstream]
    WHERE_NOTHING_BLOCKS = [*EVERYWHERE, concurrent_async_streams]

    def stream(self, headers=None):
        return self.client.chat.completions.create(**STREAMED, extra_headers=headers)

    def error_after_three_tokens(self, fault):
        texts = []
        with self.stream({"x-mock-fault": fault}) as stream:
            contents = (choice.delta.content for chunk in stream for choice in chunk.choices)
            error = error_of(lambda: texts.extend(contents))
        assert texts == ["", *TOKENS[:3]], f"{texts} came before {error!r}"
        return error

    def upstream_stats(self):
        with urllib.request.urlopen(f"{self.upstream}/stats", timeout=LIMIT) as answer:
            return json.load(answer)


def assert_complete(chunks):
    role, *tokens, finish, usage = chunks
    assert role.choices[0].delta.role == "assistant", f"the first chunk is {role}"
    texts = [token.choices[0].delta.content for token in tokens]
    assert texts == TOKENS, f"tokens are {texts}"
    reasons = [chunk.choices[0].finish_reason for chunk in (role, *tokens, finish)]
    assert reasons == [None] * (1 + len(TOKENS)) + ["stop"], f"finish reasons are {reasons}"
    assert usage.choices == [], f"the last chunk is {usage}"
    assert_usage(usage.usage, len(TOKENS))


def assert_usage(usage, tokens):
    assert usage is not None and usage.completion_tokens == tokens, f"usage is {usage}"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"usage is {usage}"


def error_of(call):
    try:
        raise AssertionError(f"ended without an error: {call()}")
    except openai.APIError as error:
        return error


class OutOfTime(BaseException):
    """Not an Exception, so that the package cannot take it for a broken connection."""


@contextmanager
def started(name, *flags):
    """The URL of a server that ends with this block or, by its lifeline, with this script."""
    environment = {"LAB_LIFELINE": "stdin", "RUST_LOG": "error"}
    command = [BINARIES / name, "--listen=127.0.0.1:0", *flags]
    with Popen(command, stdin=PIPE, stdout=PIPE, env=environment, text=True) as server:
        try:
            signal.alarm(LIMIT)
            url = next((line.split()[-1] for line in server.stdout if line.startswith("listening on ")), None)
            signal.alarm(0)
            assert url, "it does not say where it listens"
            yield url
        finally:
            server.kill()  # unlike a drain, it needs no time limit


def outcomes(name, url, upstream, checks):
    """For each check, whether it passed."""
    passed = []
    for check in checks:
        try:
            signal.alarm(CHECK_LIMIT)
            with openai.OpenAI(base_url=f"{url}/v1", **OPTIONS) as client:
                check(Checks(name, upstream, client))
            passed.append(True)
        except (Exception, OutOfTime) as error:
            print(f"FAILED {name}, {check.__name__}: {type(error).__name__}: {error}")
            passed.append(False)
        finally:
            signal.alarm(0)
    print(f"openai {openai.__version__} against {name}: {sum(passed)} checks passed", flush=True)
    return passed


def main():
    def give_up(*_):
        raise OutOfTime("took too long")

    signal.signal(signal.SIGALRM, give_up)
    passed, name = [], "mock-llm"
    try:
        with started(name, "--ttft=20ms", "--interval=10ms", f"--chunks={len(TOKENS)}") as upstream:
            passed += outcomes(name, upstream, upstream, Checks.EVERYWHERE)
            servers = {"server-broken": Checks.EVERYWHERE, "server-fixed": Checks.WHERE_NOTHING_BLOCKS}
            for name, checks in servers.items():
                with started(name, "--gauges=127.0.0.1:0", f"--upstream={upstream}") as url:
                    passed += outcomes(name, url, upstream, checks)
    except (AssertionError, OSError, OutOfTime) as error:
        print(f"FAILED to start {name} (make install builds it): {error}")
        passed.append(False)
    print(f"{passed.count(True)} passed, {passed.count(False)} failed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
