"""A thread for each connection, and one engine that does everything in turn: prompts, tokens, and the
question whether it is well. While it reads a prompt, nothing else moves.
"""

import http.server
import threading
import time
from collections import deque

from wire import arguments

PROMPT, TOKEN, TOKEN_OF_EACH = 0.35, 0.02, 0.001  # seconds


class Engine:
    def __init__(self):
        self.waiting = deque()
        self.running = []
        self.changed = threading.Condition()
        threading.Thread(target=self.work, daemon=True).start()

    def give(self, job):
        with self.changed:
            self.waiting.append(job)
            self.changed.notify()

    def work(self):
        while True:
            with self.changed:
                while not (self.waiting or self.running):
                    self.changed.wait()
                job = self.waiting.popleft() if self.waiting else None
            if job is None:
                time.sleep(TOKEN + TOKEN_OF_EACH * len(self.running))
                self.running = [one for one in self.running if not one.is_over]
                for one in self.running:
                    one.made.release()
            elif job.is_check:
                job.made.release()
            else:
                time.sleep(PROMPT)
                self.running.append(job)


class Job:
    def __init__(self, is_check):
        self.is_check, self.is_over = is_check, False
        self.made = threading.Semaphore(0)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        job = Job(is_check=self.path == "/health")
        if job.is_check:
            self.server.engine.give(job)
            job.made.acquire()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if job.is_check else "text/event-stream")
        self.end_headers()
        if job.is_check:
            self.wfile.write(b"ok\n")
            return
        self.server.engine.give(job)
        try:
            while True:
                job.made.acquire()
                self.wfile.write(b"data: token\n\n")
        except OSError:
            job.is_over = True


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", arguments(__doc__).port), Handler)
    server.engine = Engine()
    server.serve_forever()
