"""Fetches a file over HTTP, going on where an earlier attempt was cut."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.foundation.errors import InputError

BLOCK_BYTES = 1 << 16
TIMEOUT_S = 30
"""Seconds without a byte until a server is given up."""


def download(url: str, part: Path, name: str) -> None:
    """Fetches `url` into `part`, with a progress bar called `name`.

    What `part` holds already is kept, and only the rest is asked for. After a InputError (nothing
    answers, the connection ends early, the disk is full) it holds what came, for the next attempt.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    came = have
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if have and answer.status != http.client.PARTIAL_CONTENT:
                have = came = 0  # a server that sends all of it again
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else None
            with (
                open(part, "ab" if have else "wb") as file,
                tqdm(
                    total=total, initial=have, unit="B", unit_scale=True, disable=None, desc=name
                ) as bar,
            ):
                while block := answer.read(BLOCK_BYTES):
                    file.write(block)
                    came += len(block)
                    bar.update(len(block))
        if total is not None and came < total:
            raise http.client.IncompleteRead(b"")
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all of it was there
        raise InputError(f"{url}: the server says {error.code} {error.reason}") from None
    except (http.client.HTTPException, ConnectionError, TimeoutError):
        raise InputError(
            f"{url}: the connection ended after {came:,} bytes; run this again to go on from there"
        ) from None
    except urllib.error.URLError as error:
        raise InputError(
            f"{url}: cannot be reached ({error.reason}); copy the files from elsewhere and name "
            "their folder instead"
        ) from None
    except OSError as error:
        raise InputError(
            f"{part}: cannot be written ({error.strerror}); make room and run this again"
        ) from None
