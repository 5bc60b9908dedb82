"""A server of files with the paths of the Hugging Face Hub, for tests: headers of the Hub or of a bare mirror."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Hub(BaseHTTPRequestHandler):
    """Serves ``files`` by their paths; large files lie behind a redirect, as on the Hub."""

    files: dict[str, bytes]
    hashes: bool  # it says them as the Hub does
    ranges: bool
    breaks: list[int]  # after so many bytes the next answers break off
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.asked.append(f"{self.command} {self.path} {start}")
        path = self.path.removeprefix("/cdn")
        content = self.files.get(path)
        if content is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        is_large = path.endswith((".safetensors", ".pth"))
        if self.hashes and is_large and not self.path.startswith("/cdn"):
            self.send_response(302)
            self.send_header("Location", f"/cdn{path}")
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = start if self.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if self.hashes:
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self.send_header("ETag", f'"{"0" * 32 if is_large else git}"')
            self.send_header("X-Repo-Commit", "1" * 40)
        self.end_headers()
        if body:
            part = content[start:]
            if self.breaks and len(part) > self.breaks[0]:
                part = part[: self.breaks.pop(0)]
                self.close_connection = True
            self.wfile.write(part)

    def log_message(self, *_) -> None:
        pass


def stored(files: dict[str, bytes | Path], repo: str, revision: str = "main") -> dict[str, bytes]:
    """Files of a repository by their paths on the server."""
    contents = {name: file.read_bytes() if isinstance(file, Path) else file for name, file in files.items()}
    return {f"/{repo}/resolve/{revision}/{name}": content for name, content in contents.items()}


@contextmanager
def serve(files: dict[str, bytes], hashes: bool = True, ranges: bool = True, breaks: tuple[int, ...] = ()):
    """The address of a server, and the list of what it is asked for."""
    state = {"files": files, "hashes": hashes, "ranges": ranges, "breaks": list(breaks), "asked": []}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Hub,), state))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", state["asked"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
