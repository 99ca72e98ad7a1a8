"""What is changed in session descriptions, and what is said of one that cannot be used. No socket."""

from __future__ import annotations


class BadOffer(Exception):
    """An SDP offer that no call can come of; one line that says why."""


def open_ended(offer: str) -> str:
    """An offer without addresses that does not say that there are none: they show when the client's first packets come.

    aiortc would give up before it has looked for its own.
    """
    if "a=candidate:" in offer:
        return offer
    return "".join(line for line in offer.splitlines(keepends=True) if line.strip() != "a=end-of-candidates")


def sha256_only(sdp: str) -> str:
    """Without the certificate's other fingerprints: this one every engine knows, as all that browsers give.

    libdatachannel takes the last of several, and where the handshake overtakes the answer, for a SHA-256.
    """
    lines = sdp.splitlines(keepends=True)
    return "".join(
        line for line in lines if not line.startswith("a=fingerprint:") or line.startswith("a=fingerprint:sha-256 ")
    )


def one_line(text: str) -> str:
    """Without line breaks, and no longer than anybody reads."""
    return " ".join(text.split())[:300]
