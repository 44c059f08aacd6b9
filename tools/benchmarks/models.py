"""Models that tools/bench times, as PyTorch modules: what dsc compiles is their export, what PyTorch runs is the module itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GptShape:
    """GPT-2's architecture (Radford et al. 2019): learned positions, pre-norm blocks, tanh GELU, tied head."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    length: int

    def parameters(self):
        """Trained elements without the position table, which takes part in no matrix product."""
        block = 12 * self.width**2 + 13 * self.width
        return self.layers * block + self.vocabulary * self.width + 2 * self.width

    def flops_per_token(self):
        """6 N for the products of forward and backward, and 6 L C T for causal attention (half of the full square)."""
        return 6 * self.parameters() + 6 * self.layers * self.width * self.length


SHAPES = {
    "gpt": GptShape(6, 384, 6, 65, 256),
    "gpt2-124m": GptShape(12, 768, 12, 50304, 1024),
    "gpt2-124m-v50257": GptShape(12, 768, 12, 50257, 1024),
    "gpt2-350m": GptShape(24, 1024, 16, 50304, 1024),
    "gpt2-1558m": GptShape(48, 1600, 25, 50304, 1024),
}


def make_gpt(torch, shape):
    """The module; its forward takes token ids [batch, length] and gives logits."""
    nn, functional = torch.nn, torch.nn.functional
    width, heads = shape.width, shape.heads

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (part.view(b, t, heads, c // heads).transpose(1, 2) for part in self.qkv(self.norm1(x)).split(c, 2))
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.project(y.transpose(1, 2).reshape(b, t, c))
            return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(shape.vocabulary, width), nn.Embedding(shape.length, width)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(shape.layers)), nn.LayerNorm(width)
            self.head = nn.Linear(width, shape.vocabulary, bias=False)
            self.head.weight = self.tokens.weight
            for parameter in self.parameters():
                if parameter.dim() > 1:
                    nn.init.normal_(parameter, 0, 0.02)

        def forward(self, ids):
            x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return Gpt()


def make_mlp(torch):
    """784-512-512-10 with ReLU."""
    nn = torch.nn
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def export(torch, model, example, path, external_data=False):
    """PyTorch's own export; with external_data the weights lie beside the graph, which then is small."""
    torch.onnx.export(model, (example,), str(path), dynamo=True, optimize=False, opset_version=20, input_names=["x"],
                      output_names=["logits"], external_data=external_data, verbose=False)
