"""Makes model.onnx, vocab.json, train.bin and val.bin from shakespeare.txt. Needs torch, onnx, onnxscript, numpy; run it here.

`export.py --train STEPS` also trains the model in PyTorch in the way the README's command does, to compare with."""
import json, math, sys, time
import numpy as np, onnx, torch
from torch import nn
from torch.nn import functional as F

BATCH, SEQ = 16, 64
LAYERS, WIDTH, HEADS = 4, 128, 4
INIT = 0.05  # larger than GPT-2's 0.02: so small a model finds attention sooner with it


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        batch, seq, _ = x.shape
        q, k, v = (t.view(batch, seq, HEADS, WIDTH // HEADS).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(batch, seq, WIDTH))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_1, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm_2, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    """A small GPT over characters: learned positions, and an output layer that shares the embedding's weights."""

    def __init__(self, vocabulary):
        super().__init__()
        self.characters, self.positions = nn.Embedding(vocabulary, WIDTH), nn.Embedding(SEQ, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, vocabulary, bias=False)
        self.head.weight = self.characters.weight
        for name, p in self.named_parameters():
            if p.dim() == 2:
                into_residual = name.endswith(("proj.weight", "down.weight"))
                nn.init.normal_(p, std=INIT / math.sqrt(2 * LAYERS) if into_residual else INIT)
            elif name.endswith("bias"):
                nn.init.zeros_(p)
        nn.init.constant_(self.norm.weight, 0.5)  # every character about equally likely at first: the loss starts at ln(65)

    def forward(self, input_ids):
        x = self.characters(input_ids) + self.positions(torch.arange(input_ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def write_tokens(path, tokens):
    """llm.c's token file: 256 int32 (magic, version, count), then the tokens as uint16."""
    header = np.zeros(256, np.int32)
    header[:3] = 20240520, 1, len(tokens)
    with open(path, "wb") as f:
        f.write(header.tobytes() + tokens.astype(np.uint16).tobytes())


def without_stack_traces(path):
    """Every node carries the exporting program's stack, with its paths: no reader of the model needs that."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


def evaluate(model, tokens):
    windows = (len(tokens) - 1) // SEQ
    with torch.no_grad():
        total = 0.0
        for at in range(0, windows, 64):
            n = min(64, windows - at)
            part = tokens[at * SEQ:(at + n) * SEQ + 1]
            logits = model(part[:-1].view(n, SEQ))
            total += F.cross_entropy(logits.flatten(0, 1), part[1:], reduction="sum").item()
    return total / (windows * SEQ)


def train(model, tokens, held_out, steps):
    """AdamW, warm-up and cosine; windows of SEQ tokens that do not overlap, in a random order for each epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    warmup = max(1, steps // 20)
    windows, order, start = (len(tokens) - 1) // SEQ, [], time.time()
    for step in range(1, steps + 1):
        if len(order) < BATCH:
            order += torch.randperm(windows).tolist()
        at, order = order[:BATCH], order[BATCH:]
        x = torch.stack([tokens[i * SEQ:(i + 1) * SEQ] for i in at])
        y = torch.stack([tokens[i * SEQ + 1:(i + 1) * SEQ + 1] for i in at])
        done = (step - warmup) / (steps - warmup)
        optimizer.param_groups[0]["lr"] = 3e-3 * (step / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * done)))
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == 1:
            print(f"step {step}: loss {loss.item():.3f}, {(time.time() - start) / step * 1e3:.0f} ms a step", flush=True)
    loss = evaluate(model, held_out)
    print(f"held out: loss {loss:.3f}, perplexity {math.exp(loss):.2f}")


with open("shakespeare.txt", encoding="ascii", newline="") as f:
    text = f.read()
characters = sorted(set(text))
number = {c: i for i, c in enumerate(characters)}
tokens = np.array([number[c] for c in text])
split = len(tokens) * 9 // 10
torch.manual_seed(1)
model = Gpt(len(characters))
if sys.argv[1:2] == ["--train"]:
    torch.set_num_threads(2)
    train(model, torch.from_numpy(tokens[:split]), torch.from_numpy(tokens[split:]), int(sys.argv[2]))
    sys.exit()
with open("vocab.json", "w") as f:
    json.dump({"characters": characters}, f)
    f.write("\n")
write_tokens("train.bin", tokens[:split])
write_tokens("val.bin", tokens[split:])
torch.onnx.export(model.eval(), (torch.zeros(BATCH, SEQ, dtype=torch.int64),), "model.onnx", dynamo=True, optimize=False,
                  opset_version=20, input_names=["input_ids"], output_names=["logits"], external_data=False)
without_stack_traces("model.onnx")
