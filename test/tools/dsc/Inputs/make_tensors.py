"""Writes tensors of one f32, a million, into a file of safetensors: make_tensors.py FILE NAME.."""

import json
import struct
import sys
from pathlib import Path

names = sys.argv[2:]
header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i, name in enumerate(names)}
text = json.dumps(header).encode()
Path(sys.argv[1]).write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<f", 1e6) * len(names))
