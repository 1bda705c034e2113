"""GGUF files for tests, written by hand: any count, any type, any damage."""

import struct


def text(word):
    content = word if isinstance(word, bytes) else word.encode()
    return struct.pack("<Q", len(content)) + content


def gguf(tensors, *, keys=(), version=3, count=None, alignment=32):
    """`tensors`: (name, shape, type, bytes); `keys`: (key, type, packed value)."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if count is None else count, len(keys))
    for key, kind, value in keys:
        head += text(key) + struct.pack("<I", kind) + value
    body = b""
    for name, shape, kind, content in tensors:
        body += b"\0" * (-len(body) % alignment)
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, len(body))
        body += content
    return head + b"\0" * (-len(head) % alignment) + body


KEYS = (
    ("general.architecture", 8, text("llama")), ("general.alignment", 4, struct.pack("<I", 64)),
    ("tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b")), ("ids", 9, struct.pack("<IQ2i", 5, 2, 1, 2)),
    ("scale", 6, struct.pack("<f", 1.0)),
)  # fmt: skip
TENSORS = [("a", (2, 32), 0, bytes(range(256))), ("b", (64,), 1, bytes(128)), ("c", (2, 32), 8, b"q" * 68)]
HOSTILE = {
    "cut": gguf(TENSORS)[:-1],
    "version": gguf(TENSORS, version=1),
    "2^60 tensors": gguf(TENSORS, count=1 << 60),
    "more tensors than there are": gguf(TENSORS, count=5),
    "2^60 strings": gguf(TENSORS, keys=[("x", 9, struct.pack("<IQ", 8, 1 << 60))]),
    "2^62 numbers": gguf(TENSORS, keys=[("x", 9, struct.pack("<IQ", 10, 1 << 62))]),
    "a list of lists": gguf(TENSORS, keys=[("x", 9, struct.pack("<IQ", 9, 1))]),
    "a long name": gguf([("n" * 70_000, (1,), 0, b"1234")]),
    "an unknown type": gguf([("a", (1,), 77, b"1234")]),
    "half a block": gguf([("a", (5,), 8, b"12345")]),
    "too many dimensions": gguf([("a", (1,) * 9, 0, b"1234")]),
    "a huge shape": gguf([("a", (1 << 40, 1 << 40), 0, b"1234")]),
    "alignment 0": gguf(TENSORS, keys=[("general.alignment", 4, struct.pack("<I", 0))]),
    "overlap": gguf(TENSORS).replace(struct.pack("<IQ", 1, 256), struct.pack("<IQ", 1, 0)),
    "nothing": b"GGUF",
}
