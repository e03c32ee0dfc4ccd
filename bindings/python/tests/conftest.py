"""What all tests have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio


@pytest_asyncio.fixture(autouse=True)
async def nothing_is_swallowed(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Has a test fail if something went wrong in a callback, which the loop would only log."""
    swallowed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: swallowed.append(context))
    yield
    assert not swallowed
