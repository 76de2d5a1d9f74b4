"""Fixtures of the tests of the page's server."""

import pytest
from watch_server import SpokenAnswers, serving


@pytest.fixture
def client():
    """A client of a server with made-up answers."""
    with serving(SpokenAnswers()) as client:
        yield client
