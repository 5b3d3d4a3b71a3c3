"""A small server on the loopback that gives a model the way the hub does, or misbehaves."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, and what follows them; a `Content-Length` that is larger cuts it off."""


class Hub:
    """Serves the files of a folder as a model.

    Attributes:
        repository: The only model that there is, as `owner/name`.
        altered: Given path and the right answer, gives another one.
        asked: Paths that were asked for.
    """

    def __init__(self, repository: str, folder: Path) -> None:
        self.repository = repository
        self.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.altered: Callable[[str, Answer], Answer] = lambda path, right: right
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.reply(body=False)

            def do_GET(self) -> None:
                self.reply(body=True)

            def reply(self, *, body: bool) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append(f"{self.command} {path}")
                status, headers, content = hub.altered(path, hub.right(path, self.headers.get("Range")))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self.wfile.write(content)

            def log_message(self, format: str, *values: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def right(self, path: str, ranged: str | None) -> Answer:
        """What the hub answers."""
        api, files = f"/api/models/{self.repository}", f"/{self.repository}/resolve/"
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.files]
            facts = {"_id": "1", "id": self.repository, "modelId": self.repository, "sha": COMMIT, "siblings": siblings}
            return 200, {"Content-Type": "application/json"}, json.dumps({**facts, "private": False}).encode()
        if path.startswith(f"{api}/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
        name = path.rpartition("/")[2]
        if path.startswith(files) and name in self.files:
            content = self.files[name]
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            if ranged is not None and (start := int(ranged.removeprefix("bytes=").partition("-")[0])):
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                return 206, headers, content[start:]
            return 200, {**headers, "Accept-Ranges": "bytes"}, content
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
