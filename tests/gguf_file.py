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
