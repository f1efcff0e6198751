"""Downloads a file over HTTP; resumes where an earlier attempt ended.

Our own client: pooch does not resume, and `requests` would save none of the error handling.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from sycophancy_steering.foundation.errors import InputError

BLOCK_BYTES = 1 << 16
TIMEOUT_S = 30
"""Seconds without a byte after which the download fails."""


def download(url: str, part: Path, name: str) -> None:
    """Downloads `url` into `part`, with a progress bar called `name`.

    The bytes that `part` already has are not requested again. Raises InputError (no server, a cut
    connection, a full disk); `part` then keeps what has arrived, for the next attempt.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    n_present = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={"Range": f"bytes={n_present}-"} if n_present else {}
    )
    n_received = n_present
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if n_present and answer.status != http.client.PARTIAL_CONTENT:
                n_present = n_received = 0  # a server that sends all of it again
            length = answer.headers.get("Content-Length")
            total = n_present + int(length) if length else None
            with (
                open(part, "ab" if n_present else "wb") as file,
                tqdm(
                    total=total,
                    initial=n_present,
                    unit="B",
                    unit_scale=True,
                    disable=None,
                    desc=name,
                ) as bar,
            ):
                while block := answer.read(BLOCK_BYTES):
                    file.write(block)
                    n_received += len(block)
                    bar.update(len(block))
        if total is not None and n_received < total:
            raise http.client.IncompleteRead(b"")
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and n_present:
            return  # all of it was there
        raise InputError(f"{url}: the server says {error.code} {error.reason}") from None
    except (http.client.HTTPException, ConnectionError, TimeoutError):
        raise InputError(
            f"{url}: the connection ended after {n_received:,} bytes; run this again to resume"
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
