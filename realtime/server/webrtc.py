"""A conversation over WebRTC: sound by RTP either way, pictures by RTP inwards, events over the data channel `oai-events`."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCBundlePolicy, RTCIceTransportPolicy

from vivavoce.codecs.formats import Encoder
from vivavoce.codecs.media import SOURCES
from vivavoce.realtime import wire
from vivavoce.realtime.config import OUTPUT_RATE_HZ, SessionConfig
from vivavoce.realtime.events import AudioAppend, Refused
from vivavoce.realtime.server import opus
from vivavoce.realtime.server.driver import Driver
from vivavoce.realtime.server.loudspeaker import Loudspeaker
from vivavoce.realtime.server.metrics import Metrics
from vivavoce.realtime.server.pictures import MAX_SIDE, thumbnail
from vivavoce.realtime.server.port import Model
from vivavoce.realtime.server.sdp import BadOffer, one_line, open_ended, sha256_only
from vivavoce.realtime.server.speech import Microphone, Silero
from vivavoce.realtime.server.tape import tape_for
from vivavoce.realtime.server.taps import PictureTap, Pulse, SoundTap, put_in
from vivavoce.realtime.server.voice import Voice
from vivavoce.realtime.server.websocket import MAX_WAITING, decode
from vivavoce.realtime.session import Session

Json = dict[str, Any]
log = logging.getLogger(__name__)

CHANNEL = "oai-events"
CONNECT_SECONDS = 30.0
"""How long a call may take until it is connected."""
SILENT_SECONDS = 15.0
"""How long nothing at all may come from a client, until it has gone. Long enough for two answers to our checks to be lost; aiortc
waits for six. A browser gives up at about the same time."""
LAST_WORDS_SECONDS = 1.0
"""How long a call that the server ends waits for its last events to leave."""
FAREWELL_SECONDS = 2.0
"""How long the end of a call waits for the TURN server to take note; one that has gone would be asked for a minute."""
MAX_INBOX = 1_000
"""A client's events that may wait to be read; the data channel knows no way to slow it down."""
DIRECT: Json = {"iceServers": [], "iceTransportPolicy": "all"}
"""No server but ourselves. It has to be said: aiortc's default is somebody's STUN server."""
PARTING: set[asyncio.Task[None]] = set()
"""Connections being closed: a task that nobody holds may vanish before its end."""


class NoAddress(Exception):
    """This machine has no network address that media could be sent to."""


class Call:
    """One WebRTC call, from the offer to the hang-up. To its `Driver` it is the `Outlet`."""

    def __init__(
        self,
        model: Model,
        config: SessionConfig,
        metrics: Metrics,
        over: Callable[[Call], None] = lambda call: None,
        network: Json = DIRECT,
    ) -> None:
        """`over` is called when nothing is left of the call; `network` is an RTCConfiguration, see `ice.py`.

        Raises:
            ClientError: the session cannot be as `config.wanted` asks.
        """
        self.id = f"rtc_{uuid.uuid4().hex[:24]}"
        config = replace(config, server_plays=True)
        name = f"sess_{uuid.uuid4().hex[:24]}"
        session = Session(config, name, lambda form: Encoder(form, OUTPUT_RATE_HZ), thumbnail)
        self._speaker = Loudspeaker()
        microphone, tape = Microphone(Silero.shared()), tape_for(config)
        self._driver = Driver(session, model, microphone, self, metrics, self._speaker, tape)
        self._metrics = metrics
        self._frame_s = config.sampler.frame_ms / 1000
        self._over = over
        self._voice = Voice(self._speaker, self._driver.played)
        self._sound = opus.Receiver()
        self._pulse = Pulse(asyncio.get_running_loop().time)
        self._relayed = any("credential" in server for server in network["iceServers"])
        self._connection = RTCPeerConnection(configuration(network))
        self._channel: RTCDataChannel | None = None
        self._waiting: list[str] = []
        self._inbox: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._jobs: set[asyncio.Task[None]] = set()
        self._opened = self._is_over = False
        self._ended = asyncio.Event()

    async def answer(self, offer: str) -> str:
        """Take an SDP offer -> the SDP answer, with all of the server's addresses in it.

        Raises:
            BadOffer: it is no offer, or has no Opus sound.
            NoAddress: there is nothing that the answer could name; the client had better not wait.
        """
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(open_ended(offer), "offer"))
            self._furnish()
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except BadOffer:
            await self._dismantle()
            raise
        except Exception as error:  # aiortc's parser raises whatever broken lines lead it to
            await self._dismantle()
            raise BadOffer(one_line(f"the SDP offer cannot be used: {error or type(error).__name__}")) from error
        made = self._connection.localDescription.sdp
        if "a=candidate" not in made:
            await self._dismantle()
            whose = "the TURN server gave none" if self._relayed else "this machine has none"
            raise NoAddress(f"there is no network address for media, {whose}; a WebSocket does without")
        if self._relayed and " typ relay" not in made:
            log.warning("the TURN server gave no address to call %s; clients behind a NAT may not reach it", self.id)
        for transport in self._transports():
            self._pulse.feel(transport)
        self._begin(self._time_out())
        return sha256_only(made)

    # --- as the driver's outlet ----------------------------------------------------------------------------------

    def send(self, event: Json) -> None:
        """See `Outlet`. What is sent before the channel is open waits for it."""
        text = wire.encode(event)
        channel = self._channel
        if channel is None:
            self._waiting.append(text)
        elif channel.readyState == "open":
            channel.send(text)
        waiting = channel.bufferedAmount if channel is not None else sum(map(len, self._waiting))
        if waiting > MAX_WAITING:
            self._waiting.clear()
            self._begin(self._finish())

    def close(self, code: int, reason: str) -> None:
        """See `Outlet`; a call has no room for the code and the reason."""
        self._begin(self._finish(LAST_WORDS_SECONDS))

    def leave(self) -> None:
        """The server is about to end: say so."""
        if self._opened:
            self._driver.leave()

    async def hang_up(self) -> None:
        """End the call. Calling it again waits for the same end."""
        await self._finish()
        await self._ended.wait()

    # --- setting up --------------------------------------------------------------------------------------------------

    def _furnish(self) -> None:
        """Everything that must be in place before the answer is made."""
        connection = self._connection
        kinds = [transceiver.kind for transceiver in connection.getTransceivers()]
        if "audio" not in kinds:
            raise BadOffer("the SDP offer has no m=audio section")
        connection.on("datachannel", self._channel_opened)
        connection.on("connectionstatechange", self._state_changed)
        opus_only = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.name == "opus"]
        for at, transceiver in enumerate(connection.getTransceivers()):
            receiver = transceiver.receiver
            if transceiver.kind == "audio":
                transceiver.setCodecPreferences(opus_only)
            before = kinds[:at].count(transceiver.kind)
            if before >= (1 if transceiver.kind == "audio" else len(SOURCES)):  # of more, nothing is taken in
                put_in(receiver, SoundTap(lambda number, packet: None))
            elif transceiver.kind == "audio":
                put_in(receiver, SoundTap(self._hear))
            else:
                put_in(receiver, PictureTap(receiver, self._frame_s, asyncio.get_running_loop().time))
                self._begin(self._watch(receiver.track, SOURCES[before]))
        connection.addTrack(self._voice)

    def _transports(self) -> set[RTCIceTransport]:
        """Where packets come in: one for all, unless the client cannot bundle."""
        connection = self._connection
        dtls = [transceiver.receiver.transport for transceiver in connection.getTransceivers()]
        if connection.sctp is not None:
            dtls.append(connection.sctp.transport)
        return {transport.transport for transport in dtls}

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._note)
        channel.on("close", lambda: self._begin(self._finish()))
        for text in self._waiting:
            channel.send(text)
        self._waiting.clear()

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._opened:
            self._opened = True
            self._driver.open()
            self._begin(self._read())
            self._begin(self._outlive())
        elif state in ("failed", "closed"):
            self._begin(self._finish())

    # --- what comes in -----------------------------------------------------------------------------------------------

    def _hear(self, number: int, packet: opus.Packet) -> None:
        if self._opened and not self._is_over:
            self._voice.heard()
            missed_ms = self._sound.missing_ms
            pcm = self._sound.push(number, packet)
            self._metrics.missing_sound.inc((self._sound.missing_ms - missed_ms) / 1000)
            if len(pcm):
                self._driver.hear(pcm)

    def _note(self, text: str | bytes) -> None:
        if self._inbox.qsize() < MAX_INBOX:
            self._inbox.put_nowait(text)
        else:
            self._begin(self._finish())

    async def _watch(self, track: MediaStreamTrack, source: str) -> None:
        """A camera or a screen, until it ends. Only the frames that are wanted get this far."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if self._opened and isinstance(frame, av.VideoFrame):
                self._driver.see(await asyncio.to_thread(pixels, frame), source)

    async def _read(self) -> None:
        """The client's events, in order, one at a time."""
        while True:
            event = await decode(await self._inbox.get(), self._driver.input_format, lambda raw: raw)
            if isinstance(event, AudioAppend):
                message = "over WebRTC the microphone is the audio track; input_audio_buffer.append is for WebSockets"
                event = Refused("unsupported_event", message, "type", event.event_id)
            self._driver.receive(event)

    # --- the end -------------------------------------------------------------------------------------------------------

    async def _time_out(self) -> None:
        await asyncio.sleep(CONNECT_SECONDS)
        if not self._opened:
            await self._finish()

    async def _outlive(self) -> None:
        """Wait until the client has gone without a word, and end its call."""
        now = asyncio.get_running_loop().time
        while (left := self._pulse.last + SILENT_SECONDS - now()) > 0:
            await asyncio.sleep(left)
        log.info("nothing comes from the client of call %s any more", self.id)
        await self._finish()

    async def _finish(self, grace_s: float = 0.0) -> None:
        """Take everything down, after what was sent has left or `grace_s` have passed."""
        if self._is_over:
            return
        self._is_over = True
        channel = self._channel
        deadline = asyncio.get_running_loop().time() + grace_s
        while channel is not None and channel.bufferedAmount and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(opus.PACKET_MS / 1000)
        try:
            await self._dismantle()
        finally:
            self._ended.set()
            self._over(self)

    async def _dismantle(self) -> None:
        self._is_over = True
        if self._opened:
            self._driver.hang_up()
        await self._part()
        jobs = self._jobs - {asyncio.current_task()}
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _part(self) -> None:
        """Close the connection; what takes too long goes on by itself."""
        closing = asyncio.create_task(self._connection.close())
        PARTING.add(closing)
        closing.add_done_callback(PARTING.discard)
        done, _ = await asyncio.wait({closing}, timeout=FAREWELL_SECONDS)
        for task in done:
            task.result()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Work in the background; a mistake in it ends this call and no other."""
        if self._is_over:
            work.close()
            return
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._done)

    def _done(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and job.exception() is not None:
            log.error("call %s broke", self.id, exc_info=job.exception())
            self._begin(self._finish())


def configuration(network: Json) -> RTCConfiguration:
    """A browser's RTCConfiguration -> aiortc's.

    By its own policy, a second video track keeps the transport of the first, which is discarded when all share one.
    """
    servers = [RTCIceServer(**server) for server in network["iceServers"]]
    policy = RTCIceTransportPolicy(network["iceTransportPolicy"])
    return RTCConfiguration(servers, policy, RTCBundlePolicy.MAX_COMPAT)


def pixels(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """A decoded frame -> uint8 [H, W, 3], neither side longer than 1280."""
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    return np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
