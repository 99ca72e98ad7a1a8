"""The page in headless Chromium, with a fake microphone and camera, against a server whose part the test speaks."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from web.browser import Browser, Page, launch
from web.scripted import Conversation, ScriptedServer, tone

QUESTION = "what colour is the circle"
ANSWER = "The circle is red."


def call_up(browser: Browser, server: ScriptedServer) -> tuple[Page, Conversation]:
    """A page in a call, recording what it plays, and the server's end of it."""
    page = browser.open(server.url)
    page.start_call()
    talk = server.call()
    talk.wait("session.update")
    return page, talk


def sounding(page: Page) -> tuple[np.ndarray, int]:
    """What was played, from the first sample that is not silent to the last, and its rate in Hz."""
    wave, rate = page.played()
    loud = np.flatnonzero(wave)
    return (wave[loud[0] : loud[-1] + 1] if len(loud) else wave[:0]), rate


def pitch(wave: np.ndarray, rate: int) -> float:
    """Frequency of the strongest partial in Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * rate / len(wave))


def picture(event: dict[str, object]) -> np.ndarray:
    """What a frame shows: uint8 ``[H, W, 3]``."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(str(event["image"])))).convert("RGB"))


def test_a_question_is_sent_and_its_answer_is_heard_and_captioned(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    assert page.evaluate("vivavoce.state.line") == "websocket", "this server knows no calls by WebRTC"
    assert talk.events[0]["session"]["audio"]["input"]["transcription"] == {"model": "kitten"}
    page.wait_for("vivavoce.sent.audio >= 60 && vivavoce.sent.images >= 2")
    question = np.frombuffer(bytes(talk.audio), "<i2") / 32768
    assert np.sqrt(np.mean(question**2)) > 0.01, "the microphone's sound reached the server"

    talk.heard("u1", QUESTION)
    talk.say("a1", ANSWER, tone(1200))
    talk.finish("a1", ANSWER)
    assert page.answer()["text"] == ANSWER
    blocks = page.evaluate("vivavoce.meter.wave.length")
    page.wait_for(f"vivavoce.meter.wave.length > {blocks} + 16", timeout=5)

    wave, rate = sounding(page)
    assert len(wave) / rate == pytest.approx(1.2, abs=0.02), "all of it, once, without a gap"
    assert pitch(wave, rate) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.02)
    assert page.text(".turn.user .words") == QUESTION
    assert page.text(".turn.assistant .words") == ANSWER
    assert "answered in" in page.text(".turn.assistant .note")
    assert page.log == []


def test_a_voice_can_be_chosen_before_the_call_where_there_are_several(
    chromium: Browser, server: ScriptedServer
) -> None:
    page = chromium.open(server.url)
    page.wait_for("document.readyState === 'complete'")
    assert page.evaluate("document.querySelector('#voices').hidden"), "a server that does not say has one voice"
    server.voices = ["nora", "hugo"]
    page = chromium.open(server.url)
    page.wait_for("!document.querySelector('#voices').hidden")
    assert page.evaluate("[...document.querySelectorAll('#voice option')].map((it) => it.text).join()") == "Nora,Hugo"
    page.evaluate("document.querySelector('#voice').value = 'hugo'")
    page.start_call()
    talk = server.call()
    talk.wait("session.update")
    assert talk.events[0]["session"]["audio"]["output"]["voice"] == "hugo"
    assert page.evaluate("document.querySelector('#voices').offsetParent === null"), "a call keeps its voice"
    assert page.log == []


def test_where_the_time_went_is_drawn_to_scale(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    assert talk.events[0]["session"]["extensions"] == ["response.metrics", "output_audio_buffer.paused"]
    page.wait_for("vivavoce.sent.audio >= 60")
    talk.heard("u1", QUESTION)
    talk.say("a1", ANSWER, tone(600))
    talk.finish("a1", ANSWER)
    page.answer()
    assert page.evaluate("document.querySelector('.waits')") is None, "nobody has said where it went"
    parts = {"pause": 240, "speculation": 360, "rest": 40}
    talk.send("response.metrics", response_id="resp_a1", wait_ms={**parts, "total": 640})
    page.wait_for("document.querySelector('.waits') !== null")
    widths = page.evaluate("""Object.fromEntries([...document.querySelectorAll('.turn.assistant .waits span')].map(
        (piece) => [piece.className, piece.getBoundingClientRect().width]))""")
    assert widths["speculation"] / widths["pause"] == pytest.approx(1.5, rel=0.05)
    assert widths["pause"] / widths["rest"] == pytest.approx(6, rel=0.1)
    told = page.evaluate("document.querySelector('.waits').getAttribute('aria-label')")
    assert told.startswith("240 ms of silence before it began to answer")
    assert page.log == []


def test_a_server_that_says_more_is_drawn_in_more_parts(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    page.wait_for("vivavoce.sent.audio >= 60")
    talk.heard("u1", QUESTION)
    talk.say("a1", ANSWER, tone(600))
    talk.finish("a1", ANSWER)
    page.answer()
    waits = {"pause": 240, "speculation": 360, "rest": 0, "total": 600}
    nothing = dict.fromkeys(("capture", "queue", "prefill", "codec"), 0)
    parts = {
        **nothing,
        "pause": 240,
        "transit": 10,
        "encode": 40,
        "decode": 60,
        "held": 250,
        "playback": None,
        "total": 600,
    }
    talk.send("response.metrics", response_id="resp_a1", wait_ms=waits, parts_ms=parts)
    page.wait_for("document.querySelector('.waits') !== null")
    drawn = page.evaluate("[...document.querySelectorAll('.waits span')].map((piece) => piece.className)")
    assert drawn == ["pause", "transit", "encode", "decode", "held", "way"], (
        "from left to right, and nothing that took no time"
    )
    told = page.evaluate("document.querySelector('.waits').getAttribute('aria-label')").splitlines()
    page.click(".waits")
    assert page.evaluate("document.querySelector('.where ul').innerText").splitlines() == told, (
        "opened, it says so in words"
    )
    assert "60 ms of thinking of words and sounds" in told
    assert page.log == []


def test_the_camera_is_sent_twice_a_second_on_the_audio_s_time_line(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    page.wait_for("vivavoce.sent.images >= 4")
    stamps = [event["timestamp_ms"] for event in talk.images[:4]]
    assert np.mean(np.diff(stamps)) == pytest.approx(500, abs=150)
    assert talk.images[-1]["source"] == "camera"
    image = picture(talk.images[-1])
    red, green, blue = image[len(image) // 2, image.shape[1] // 2]
    assert red > 150 and green < 90 and blue < 90, "the circle in the middle is red"
    page.click("#call")
    talk.wait_gone()


def test_speaking_silences_the_answer_and_says_how_much_was_heard(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    talk.say("a1", "one two three four five six seven eight nine ten", tone(10_000))
    page.wait_for("vivavoce.meter.seconds > 0.5")

    talk.send("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=900)
    cut = talk.wait("conversation.item.truncate")
    talk.finish("a1", "one two three four five six seven eight nine ten", "cancelled", "turn_detected")
    page.wait_for("vivavoce.state.turns[0].status === 'cut'")
    blocks = page.evaluate("vivavoce.meter.wave.length")
    page.wait_for(f"vivavoce.meter.wave.length > {blocks} + 100")

    wave, rate = sounding(page)
    assert (cut["item_id"], cut["content_index"]) == ("a1", 0)
    assert cut["audio_end_ms"] == pytest.approx(1000 * len(wave) / rate, abs=8), "what it claims is what was played"
    assert 400 < cut["audio_end_ms"] < 5000
    assert "interrupted after" in page.text(".turn.assistant .note")
    assert page.text(".turn.assistant .unheard").endswith("ten")
    assert page.evaluate("vivavoce.meter.flushes") == 1

    talk.say("a2", ANSWER, tone(300, hz=880))
    talk.finish("a2", ANSWER)
    page.wait_for("vivavoce.state.speaking === 'a2'")
    page.wait_for("vivavoce.state.speaking === null")


def test_the_stop_button_cancels_the_answer(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    talk.say("a1", ANSWER, tone(8000))
    page.wait_for("vivavoce.state.speaking === 'a1' && !document.getElementById('stop').disabled")
    page.click("#stop")
    talk.wait("response.cancel")
    assert talk.wait("conversation.item.truncate")["item_id"] == "a1"


def test_muted_means_that_silence_is_sent(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    page.click("#mute")
    page.wait_for("vivavoce.state.muted")
    sent = page.evaluate("vivavoce.sent.audio")
    page.wait_for(f"vivavoce.sent.audio >= {sent} + 130")
    last = np.frombuffer(bytes(talk.audio[-2 * 24_000 * 5 :]), "<i2")
    assert not last.any(), "five seconds, a whole round of the question, without a sound"
    assert page.text("#mute") == "Unmute"


def test_hanging_up_closes_the_call_and_the_devices(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    page.wait_for("document.getElementById('camera').srcObject?.active")
    asked = page.evaluate("document.getElementById('camera').srcObject.getVideoTracks()[0].getConstraints()")
    ratio = asked["aspectRatio"]  # a bare number is an ideal one
    assert (ratio["ideal"] if isinstance(ratio, dict) else ratio) == pytest.approx(4 / 3)
    page.click("#call")
    talk.wait_gone()
    page.wait_for("vivavoce.state.connection === 'idle' && document.getElementById('camera').srcObject === null")
    assert page.text("#call") == "Start"
    assert page.evaluate("document.getElementById('notice').hidden")


def test_hanging_up_while_it_connects_leaves_nothing_behind(chromium: Browser, server: ScriptedServer) -> None:
    page = chromium.open(server.url)
    page.evaluate("{ const call = document.getElementById('call'); call.click(); call.click(); }")
    page.wait_for("vivavoce.state.connection === 'idle'")
    page.click("#call")
    server.call().wait("session.update")
    page.wait_for("vivavoce.state.connection === 'open'")
    assert page.log == []


def test_the_drawing_board_is_a_camera(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    page.click("#video-board")
    page.wait_for("vivavoce.state.video === 'board'")
    page.click("#colours label[title=Blue]")
    page.click("#board")
    page.wait_for("vivavoce.board.marks.length === 1")
    sent = page.evaluate("vivavoce.sent.images")
    page.wait_for(f"vivavoce.sent.images > {sent} + 1")
    assert talk.images[-1]["source"] == "screen"
    image = picture(talk.images[-1])
    red, green, blue = image[len(image) // 2, image.shape[1] // 2]
    assert blue > 180 and red < 90, "the tapped circle is blue"
    assert image[5, 5].min() > 240, "the paper is white"


def test_the_drawing_board_works_from_the_keyboard(chromium: Browser, server: ScriptedServer) -> None:
    page = chromium.open(server.url)
    page.click("#video-board")
    page.evaluate("document.getElementById('board').focus()")
    page.press("Enter", 13)
    page.press("Enter", 13)
    page.press("Backspace", 8)
    assert page.evaluate("vivavoce.board.marks.map(({ tool }) => tool)") == ["circle"]


def test_without_the_camera_the_conversation_goes_on_by_voice(server: ScriptedServer, question: Path) -> None:
    with launch(question, allow=False) as browser:
        browser.permit(server.url, camera="denied", microphone="granted")
        page, talk = call_up(browser, server)
        page.wait_for("vivavoce.state.video === 'none'")
        assert "goes on by voice" in page.text("#notice")
        talk.say("a1", ANSWER, tone(500))
        talk.finish("a1", ANSWER)
        page.wait_for("vivavoce.state.speaking === 'a1'")
        assert page.evaluate("vivavoce.sent.images") == 0


def test_without_the_microphone_there_is_no_call_and_the_page_says_why(server: ScriptedServer, question: Path) -> None:
    with launch(question, allow=False) as browser:
        browser.permit(server.url, camera="granted", microphone="denied")
        page = browser.open(server.url)
        page.click("#call")
        page.wait_for("vivavoce.state.notice")
        assert page.text("#notice-text").startswith("The microphone was not allowed.")
        assert page.text("#status") == "Not in a call"


def test_a_call_the_server_ends_is_over_and_says_why(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    talk.hang_up(1011, "the model stopped")
    page.wait_for("vivavoce.state.connection === 'idle'")
    assert page.text("#notice-text") == "The server ended the call: the model stopped"


def test_an_error_is_shown_and_the_call_goes_on(chromium: Browser, server: ScriptedServer) -> None:
    page, talk = call_up(chromium, server)
    talk.send("error", error={"type": "invalid_request_error", "code": "x", "message": "no such thing", "param": None})
    page.wait_for("!document.getElementById('notice').hidden")
    assert page.text("#notice-text") == "The server could not do that: no such thing"
    assert page.text("#status") in ("Listening", "Hearing you")


@pytest.mark.parametrize("width, height", [(390, 844), (360, 640), (768, 1024), (1280, 720)])
@pytest.mark.parametrize("video", ["camera", "board", "none"])
def test_nothing_falls_off_the_screen(
    chromium: Browser, server: ScriptedServer, width: int, height: int, video: str
) -> None:
    page = chromium.open(server.url)
    page.resize(width, height)
    page.click(f"#video-{video}")
    outside = page.evaluate("""[...document.querySelectorAll("button, input, label, canvas, h1")].filter((element) => {
        const { left, right, top, bottom, width } = element.getBoundingClientRect();
        return width > 1 && (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight);
    }).map((element) => element.id || element.outerHTML)""")
    assert outside == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
