"""A stand-in for Slack's API on loopback: it knows its tokens, and remembers what was posted with them.

    with SlackStandIn({"xoxb-…": "acme"}) as slack:
        slack.url                       # http://127.0.0.1:port/api
        slack.received                  # [Post(token_of="acme", channel="C1", text="…"), …]
"""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Post:
    """A call of `chat.postMessage` that was let in. It says whose token it came with, and not the token."""

    token_of: str
    channel: str
    text: str


class SlackStandIn:
    def __init__(self, tokens):
        """`tokens`: whose each token is."""
        self.tokens = dict(tokens)
        self.received = []
        self.refused = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, authorization, body):
        """What Slack answers, errors included: always with status 200, as Slack does."""
        if path != "/api/chat.postMessage":
            return self.refusal("unknown_method")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self.refusal("not_authed")
        if token not in self.tokens:
            return self.refusal("invalid_auth")
        try:
            message = json.loads(body)
            channel, text = message["channel"], message["text"]
        except (ValueError, KeyError, TypeError):
            return self.refusal("invalid_json")
        self.received.append(Post(self.tokens[token], channel, text))
        return {"ok": True, "channel": channel, "ts": f"{len(self.received)}.000000", "message": {"text": text}}

    def refusal(self, error):
        self.refused.append(error)
        return {"ok": False, "error": error}


def handler_of(slack):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            reply = json.dumps(slack.answer(self.path, self.headers.get("authorization"), body)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_):
            pass

    return Handler
