"""What `fused.py` calls: a step of the backbone, the heads, and the rows that follow from them."""

from vivavoce.codecs.kernels.compiling import compiled
from vivavoce.model.kernels.arrays import MATRICES
from vivavoce.model.kernels.attending import assist, attention
from vivavoce.model.kernels.experts import mixture
from vivavoce.model.kernels.products import add, feed_forward, multiply, normalise

__all__ = ["assist", "chain", "embed", "project", "step"]


@compiled
def step(shape, packed, room, share, ours, theirs, rows, x, cache, slots, load, used):
    """All layers and the final norm, for N rows.

    x: fp32 [N, width, padded], changed in place to what the heads read. cache: fp32, flat; every attention has `slots` slots of
    it. load [layers, experts] and used [N] count the FFN experts that were taken. share, ours, theirs: what is between this thread
    and one that may be in `attending.assist` meanwhile, and the desks of both.
    """
    count = rows.write.shape[0]
    size = slots * (shape.latent + shape.rope)
    for layer in range(shape.layers):
        for half in range(2):
            norms = packed.norms[layer, half]
            normalise(x, count, shape.width, norms[0], shape.eps, room.normed)
            base = (2 * layer + half) * size
            attention(shape, packed, layer, half, rows, count, room, cache, base, share, ours, theirs)
            add(x, room.added, count, shape.width)
            normalise(x, count, shape.width, norms[3], shape.eps, room.normed)
            if half == 0:
                mixture(shape, packed, layer, count, room, load, used)
            first = half * len(MATRICES)
            gate_up, down = packed.matrices[layer, first + 3], packed.matrices[layer, first + 4]
            feed_forward(packed, gate_up, down, room.normed, count, shape.inner, room, room.added)
            add(x, room.added, count, shape.width)
        add(x, room.shortcut, count, shape.width)
    normalise(x, count, shape.width, packed.last_norm, shape.eps, x)


@compiled
def project(packed, matrix, x, rows, y):
    """y[:rows, :outputs] = x[:rows] @ matrix.T; y is padded to whole panels."""
    multiply(packed, matrix, x, 0, rows, y, 0)


@compiled
def chain(packed, matrices, joint, tables, legal, recent, penalties, x, y, logits, chosen):
    """The codes of N rows, stream by stream; see `speech_head.AudioOutputLayers.chain`.

    matrices [streams, 4]; joint [0 or 1, 4], the projection before every head. tables [streams - 1, V, D]. legal bool [streams, V].
    recent int64 [N, streams, window]: ids said lately, each of which divides its logit by the row's penalty. x [N, D] changes,
    y [N, D] and logits [N, V] are scratch, both padded; chosen int64 [N, streams] is the result.
    """
    streams, vocabulary = legal.shape
    for stream in range(streams):
        for n in range(chosen.shape[0]):
            if stream > 0:
                for j in range(tables.shape[2]):
                    x[n, j] += tables[stream - 1, chosen[n, stream - 1], j]
        if joint.shape[0]:
            multiply(packed, joint[0], x, 0, chosen.shape[0], y, 0)
            x, y = y, x
        multiply(packed, matrices[stream], x, 0, chosen.shape[0], logits, 0)
        for n in range(chosen.shape[0]):
            row = logits[n]
            for i in range(recent.shape[2]):
                said = recent[n, stream, i]
                if said >= 0:
                    row[said] = row[said] * penalties[n] if row[said] < 0 else row[said] / penalties[n]
            best = -1
            for code in range(vocabulary):
                if legal[stream, code] and (best < 0 or row[code] > row[best]):
                    best = code
            chosen[n, stream] = best


@compiled
def embed(text, speech, texts, codes, y):
    """y = the rows [N, D] of N steps; see `omni.Omni.embed_step`.

    text [V, D] and speech [streams, V, D] are the tables, texts [N] and codes [N, streams] the ids.
    """
    for n in range(texts.shape[0]):
        for j in range(text.shape[1]):
            y[n, j] = 0
        for stream in range(speech.shape[0]):
            if codes[n, stream] >= 0:
                for j in range(text.shape[1]):
                    y[n, j] += speech[stream, codes[n, stream], j]
        if texts[n] >= 0:
            for j in range(text.shape[1]):
                y[n, j] += text[texts[n], j]
