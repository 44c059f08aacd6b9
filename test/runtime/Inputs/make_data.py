"""Writes data files for the tests of what can be wrong with them, into a folder: make_data.py FOLDER"""

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
x, labels = np.zeros((8, 3), np.float32), np.zeros((8, 4), np.float32)
np.savez(folder / "good.npz", x=x, labels=labels)
np.savez(folder / "empty.npz")
np.savez(folder / "narrow.npz", x=x[:, :2], labels=labels)
np.savez(folder / "wide.npz", x=np.full((8, 3), 1e300), labels=labels)
np.savez(folder / "lone.npz", labels=labels)
np.savez(folder / "big.npz", x=x.astype(">f4"), labels=labels)
np.savez(folder / "complex.npz", x=x.astype(np.complex64), labels=labels)
np.savez(folder / "record.npz", x=np.zeros(8, [("a", "f4"), ("b", "f4")]), labels=labels)

# A directory that points beyond the file, and one whose entries are overwritten.
good = bytearray((folder / "good.npz").read_bytes())
end = good.rindex(b"PK\x05\x06")
beyond = bytearray(good)
struct.pack_into("<I", beyond, end + 16, len(good))
(folder / "beyond.npz").write_bytes(beyond)
directory = struct.unpack_from("<I", good, end + 16)[0]
damaged = bytearray(good)
damaged[directory : directory + 4] = b"\0\0\0\0"
(folder / "damaged.npz").write_bytes(damaged)
# An entry whose extra field is longer than itself, and a 64-bit directory that is not there.
content = io.BytesIO()
with zipfile.ZipFile(content, "w") as archive:
    entry = zipfile.ZipInfo("x.npy")
    entry.extra = struct.pack("<HH", 1, 60000)
    archive.writestr(entry, b"")
(folder / "entry.npz").write_bytes(content.getvalue())
far = good[:end] + struct.pack("<IIQI", 0x07064B50, 0, 1 << 40, 1) + good[end:]
struct.pack_into("<I", far, len(far) - 22 + 16, 0xFFFFFFFF)
(folder / "far.npz").write_bytes(far)

np.arange(64, dtype=np.uint16).tofile(folder / "bare.bin")
(folder / "odd.bin").write_bytes(b"\1\2\3")
header = np.zeros(256, np.int32)
header[:3] = 20240520, 1, 0
header.tofile(folder / "none.bin")
header[2] = 16
(folder / "tokens.bin").write_bytes(header.tobytes() + (np.arange(16) % 8).astype(np.uint16).tobytes())


def safetensors(name, header, data=b""):
    """A file of safetensors with any header."""
    text = json.dumps(header).encode()
    (folder / name).write_bytes(struct.pack("<Q", len(text)) + text + data)


safetensors("entry.safetensors", {"x": {"dtype": "F32", "shape": [1]}}, bytes(4))
safetensors("offsets.safetensors", {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, bytes(4))
safetensors("huge.safetensors", {"w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}},
            np.full(12, 1e6, np.float32).tobytes())  # fmt: skip

# An entry that says it is encrypted, and one that has another name in its own header.
encrypted = bytearray(good)
encrypted[directory + 8] |= 1
(folder / "encrypted.npz").write_bytes(encrypted)
renamed = bytearray(good)
renamed[30] ^= 2
(folder / "renamed.npz").write_bytes(renamed)
