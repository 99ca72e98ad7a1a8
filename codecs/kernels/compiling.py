"""How these functions are compiled: when first called, by numba, and then kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["compiled"]


def compiled(function: Callable[..., Any]) -> Any:
    """`njit`, without Python's lock and kept on disk where that can be written.

    Without `fastmath`: what is compiled now and what is read from the disk would not round alike, and a replay must.
    """
    rules: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        made = njit(cache=True, **rules)(function)
    except RuntimeError:  # neither this folder nor the user's is writable
        return njit(**rules)(function)
    # numba looks at the function's own file to see whether what it has kept is out of date. What is compiled into it stands here.
    made._cache._cache_file._source_stamp = _stamp(Path(function.__code__.co_filename).parent)
    return made


def _stamp(folder: Path) -> list[tuple[str, float, int]]:
    """Of each file of the function's folder and of this one its name, its age and its size."""
    files = sorted({*folder.glob("*.py"), *Path(__file__).parent.glob("*.py")})
    return [(file.name, file.stat().st_mtime, file.stat().st_size) for file in files]
