"""The servers that a request names: a run's folder must not choose who is sent a key."""

from __future__ import annotations

from urllib.parse import urlsplit

from agent.planners import server_of
from agent.request import Request
from instdiff.errors import BadInput
from instdiff.settings import openai_base_url, openai_key, verifier_key, verifier_url


def planner_urls(request: Request) -> list[str]:
    """The planner's addresses in a request: ``--planner-url``, and the one in a name such as ``chat:MODEL@URL``."""
    return [url for url in (request.planner_url, server_of(request.planner)) if url]


def check_planner_urls(request: Request) -> None:
    """Raise BadInput for what is no address, or holds a secret."""
    try:
        servers = [urlsplit(url).netloc for url in planner_urls(request)]
    except ValueError as error:
        raise BadInput("planner_url", f"this is no address ({error})") from error
    if any("@" in server for server in servers):
        secret = "holds a user name or password, which would land in run.json"
        raise BadInput("planner_url", f"{secret}; set OPENAI_API_KEY instead")


def check_stored_addresses(request: Request) -> None:
    """A folder from somebody else must not choose the server that is sent the user's key.

    Raises:
        BadInput: the folder names a server elsewhere, a key is set, and its owner has not named the server as well.
    """
    for url in planner_urls(request) if openai_key() else []:
        if not _is_local(url) and url != openai_base_url():
            cure = "set OPENAI_BASE_URL to that address if OPENAI_API_KEY may be sent there"
            raise BadInput("run", f"its planner is at {url}; {cure}")
    verifier = request.verifier_url
    if verifier and verifier_key() and not _is_local(verifier) and verifier != verifier_url():
        cure = "set INSTDIFF_VERIFIER_URL to that address if your key may be sent there"
        raise BadInput("run", f"its verifier is at {verifier}; {cure}")


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
