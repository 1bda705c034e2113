"""A server of the tests that answers as an OpenAI-compatible one does."""

import http.server
import json
import threading

import pytest

from traitline.evaluation import hosted


class Cut(bytes):
    """A body of which the second half never comes."""


KEY = "sk-planted-4711"


@pytest.fixture
def server(monkeypatch):
    """Answers with the next of `replies`, (status, content), the last one for ever; keeps what it got.

    A content is the text of an answer or of an error, the JSON of a whole body, or the bytes of one.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, self.headers.get("Authorization"), json.loads(body)))
            replies = self.server.replies
            status, content = replies.pop(0) if len(replies) > 1 else replies[0]
            if isinstance(content, str | None):
                content = {"choices": [{"message": {"content": content}}]} if status == 200 else {"error": content}
            made = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            if isinstance(content, Cut):
                self.send_header("Content-Length", str(2 * len(made)))
            self.end_headers()
            self.wfile.write(made)

        def log_message(self, *args):
            pass

    made = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    made.got, made.replies, made.waits = [], [(200, "70")], []
    made.address = f"http://127.0.0.1:{made.server_port}/v1"
    monkeypatch.setattr(hosted.time, "sleep", made.waits.append)
    monkeypatch.setenv("JUDGE_KEY", KEY)
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()
