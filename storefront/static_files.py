"""
Static files under names that hold a hash of their content.

Another content has another name, so browsers and proxies may keep a file for ever and
never ask again. A name without a hash, or with one of another content, is answered with
what is there now, to be asked about each time.
"""

import re
from functools import lru_cache
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.security import safe_join

FOLDER = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"
DIGITS = 12
_HASHED = re.compile(rf"(.+)\.([0-9a-f]{{{DIGITS}}})(\.[^./]+)")


def init_app(app: Flask) -> None:
    """Serve the folder *static*; the Flask given must have no folder of its own."""
    app.static_folder = str(FOLDER)
    app.url_defaults(_use_hashed_name)

    def serve(filename: str) -> Response:
        hashed = _HASHED.fullmatch(filename)
        name = hashed[1] + hashed[3] if hashed else filename
        answer = _whole(app, name)
        is_this = hashed is not None and hashed[2] == _hash_of(name)
        answer.headers["Cache-Control"] = FOR_EVER if is_this else ASK_EACH_TIME
        return answer

    app.add_url_rule("/static/<path:filename>", "static", serve)


def _whole(app: Flask, name: str) -> Response:
    if guess_type(name)[0] not in app.config["COMPRESS_MIMETYPES"]:
        return app.send_static_file(name)
    # A part of a packed file would be packed by itself, and fit nowhere.
    request.environ.pop("HTTP_RANGE", None)
    answer = app.send_static_file(name)
    answer.direct_passthrough = False
    # All of it at once, so that its length is known and gzip serves, too.
    answer.make_sequence()
    return answer


def _use_hashed_name(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and (found := _hash_of(values["filename"])):
        stem, dot, kind = values["filename"].rpartition(".")
        values["filename"] = f"{stem}.{found}{dot}{kind}"


def _hash_of(name: str) -> str:
    """Return the hash of a file; "" if there is none, as with a missing picture."""
    # What an import names as a picture may be any text.
    path = safe_join(str(FOLDER), name)
    if path is None:
        return ""
    try:
        found = Path(path).stat()
        # An owner may replace a picture while the shop is open.
        return _hash(path, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=4096)
def _hash(path: str, _changed_at: int, _size: int) -> str:
    return sha256(Path(path).read_bytes()).hexdigest()[:DIGITS]
