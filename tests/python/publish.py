"""Writes tests/vectors/esr1.json: the one file that both implementations are held to."""

import json
from pathlib import Path

import esr1
import negatives
import vectors

PATH = Path(__file__).parent.parent / "vectors" / "esr1.json"

ABOUT = {
    "format": "ESR1, suite 01. Made by `python tests/python/esr1.py --make`; do not edit.",
    "positives": "seal(key, request, plaintext, padded, salt) is record, and opening it gives plaintext; ctx is the "
    "encoded request. V1 to V5 are frozen with the format, the rest is computed.",
    "large": "like positives; byte i of the plaintext is i mod 251.",
    "too_large": "sealing so many bytes is refused.",
    "negatives": "opening is refused with error. Either request or ctx (for what a typed request cannot say); either "
    "record or mutation.",
    "mutation": "of: the vector to change. flip: bit n, for each n of from..to; it is 1 << (n % 8) of byte n / 8. "
    "truncate: the first n bytes, for each n of from..to. append: n times byte, for each n of from..to. set: bytes at "
    "offset. keep: no change. `to` is exclusive.",
    "contexts": "no encoding of any request.",
    "wrapped": "wrap(root, scope, generation, key, salt) is wrapped, and unwrapping it gives key.",
    "wrapped_negatives": "unwrapping, with this scope and generation asked for, is refused with error.",
    "unwrap_answers": "what a key service answered where the key with key_id was expected; error null: accepted.",
}


def make() -> None:
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text_of(sections()), encoding="ascii", newline="\n")


def sections() -> dict:
    return {
        "about": ABOUT,
        "positives": vectors.positives(),
        "large": vectors.large(),
        "too_large": [{"id": "L3", "plaintext_len": esr1.VALUE_LIMIT + 1, "error": "value_too_long"}],
        "negatives": negatives.records(),
        "contexts": negatives.contexts(),
        "wrapped": vectors.wrapped(),
        "wrapped_negatives": negatives.wrapped(),
        "unwrap_answers": negatives.unwrap_answers(),
    }


def text_of(content: dict) -> str:
    """JSON with one vector per line, so that a change shows as the vectors it changes."""
    parts = []
    for name, rows in content.items():
        if isinstance(rows, dict):
            lines = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in rows.items()]
            parts.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
        else:
            lines = [f"    {json.dumps(row)}" for row in rows]
            parts.append(f"  {json.dumps(name)}: [\n" + ",\n".join(lines) + "\n  ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"
