"""The small PyTorch modules behind the models in this folder; export.py says which exporter gets which.

Each is small enough for ten training steps to take milliseconds, and has sizes that are no powers of two."""
import math
import torch
from torch import nn
from torch.nn import functional as F

VOCAB, SEQ = 61, 16


def mlp():
    return nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 24), nn.GELU(), nn.Linear(24, 11))


def mlp_batchnorm():
    return nn.Sequential(nn.Linear(13, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(),
                         nn.Linear(32, 24), nn.BatchNorm1d(24, momentum=0.3), nn.Tanh(), nn.Linear(24, 11))


def mlp_two_norms():
    """Norms along both dimensions behind one another: sums over rows need sums over columns, and the other way round."""
    return nn.Sequential(nn.LayerNorm(13), nn.Linear(13, 24), nn.LayerNorm(24), nn.BatchNorm1d(24), nn.GELU(), nn.BatchNorm1d(24), nn.LayerNorm(24), nn.BatchNorm1d(24),
                         nn.Linear(24, 11))


class Mixer(nn.Module):
    """A LayerNorm over three-axis inputs: Linear becomes MatMul and Add here, not Gemm. Three Linears share one input."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(10)
        self.gate, self.up, self.left = nn.Linear(10, 14), nn.Linear(10, 14, bias=False), nn.Linear(10, 14)
        self.down = nn.Linear(14, 10)
        self.tokens = nn.Linear(7, 7)
        self.head = nn.Linear(10, 11)

    def forward(self, x):
        n = self.norm(x)
        x = x + self.down(F.silu(self.gate(n)) * self.up(n) + torch.tanh(self.left(n)))
        x = x + self.tokens(x.transpose(1, 2)).transpose(1, 2)
        return self.head(x.mean(1))


class Residual(nn.Module):
    """x + act(linear(x)) for each activation in turn; widths[i] is what activation i takes."""

    def __init__(self, activations):
        super().__init__()
        self.acts = nn.ModuleList(activations)
        self.lins = nn.ModuleList(nn.Linear(12, 24 if isinstance(a, nn.GLU) else 12) for a in activations)
        self.head = nn.Linear(12, 11)

    def forward(self, x):
        for lin, act in zip(self.lins, self.acts):
            x = x + act(lin(x))
        return self.head(x)


def act_smooth():
    return Residual([nn.ELU(), nn.ELU(0.7), nn.SELU(), nn.CELU(1.3), nn.GELU(), nn.GELU("tanh"), nn.Sigmoid(), nn.LogSigmoid(),
                     nn.Tanh(), nn.Tanhshrink(), nn.Softplus(), nn.Softplus(2.0, 10.0), nn.Softsign(), nn.SiLU(), nn.Mish()])


def act_piecewise(threshold):
    """TorchScript's exporter refuses Threshold with a non-zero bound, so that one is optional."""
    acts = [nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.PReLU(), nn.PReLU(12), nn.Softshrink(0.2), nn.Hardshrink(0.3),
            nn.Hardtanh(-0.8, 0.9), nn.Hardsigmoid(), nn.Hardswish()]
    return Residual(acts + [nn.Threshold(0.1, 0.2)] if threshold else acts)


def act_normalising():
    return Residual([nn.GLU(1), nn.Softmax(1), nn.Softmin(1), nn.LogSoftmax(1)])


def cnn():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 7))


def cnn_lrn():
    """Slopes that the TorchScript exporter reshapes, and a norm that it writes with an If on a tensor's rank."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.LocalResponseNorm(5, 1e-2), nn.Conv2d(8, 6, 3, groups=2), nn.PReLU(),
                         nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 7))


class ShapedConstants(nn.Module):
    """Zeros and fills in the shape of an activation, and norms without parameters: an optimising exporter notes that it folded
    them from the activation. A group norm over channels that have no further dimensions."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(12, 12), nn.GroupNorm(3, 12), nn.Linear(12, 7)

    def forward(self, x):
        h = self.norm(self.first(x))
        h = torch.where(h > 0.1, h.sin(), torch.zeros_like(h)) + torch.full_like(h, 0.3) + torch.ones_like(h) * 0.5
        return self.head(F.layer_norm(h, (12,)) + F.group_norm(h, 2))


class GroupedCnn(nn.Module):
    """Depthwise, grouped, dilated, same-padded and one-sided convolutions; three kinds of pooling; a squeeze-and-excite gate."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding="same", bias=False)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 12, 1)
        self.grouped = nn.Conv2d(12, 12, 3, padding=(1, 2), dilation=(1, 2), groups=3, bias=False)
        self.squeeze, self.excite = nn.Conv2d(12, 4, 1), nn.Conv2d(4, 12, 1)
        self.uneven = nn.Conv2d(12, 10, (3, 2), stride=(2, 1))
        self.pool = nn.AvgPool2d(2, padding=1)
        self.pool_inside = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.pool_max = nn.MaxPool2d(3, stride=1, padding=1)
        self.head = nn.Linear(10 * 2, 7)

    def forward(self, x):
        x = self.pool(F.relu(self.stem(x)))
        x = F.hardswish(self.pointwise(F.relu6(self.depthwise(x))))
        x = x + self.grouped(x)
        gate = F.hardsigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))
        x = self.pool_max(self.pool_inside(x * gate))
        return self.head(F.adaptive_avg_pool2d(F.elu(self.uneven(x)), (1, 2)).flatten(1))


class Attention(nn.Module):
    """One causal self-attention. `eager` writes it out as HF and older code do, with a stored mask; else PyTorch's fused call."""

    def __init__(self, width, heads, eager, bias):
        super().__init__()
        self.heads, self.eager = heads, eager
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)
        if eager:
            self.register_buffer("mask", torch.tril(torch.ones(SEQ, SEQ)).view(1, 1, SEQ, SEQ))

    def forward(self, x):
        batch, seq, width = x.shape
        q, k, v = (t.view(batch, seq, self.heads, width // self.heads).transpose(1, 2)
                   for t in self.c_attn(x).split(width, dim=2))
        if self.eager:
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :seq, :seq] == 0, float("-inf"))
            y = F.softmax(scores, dim=-1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(batch, seq, width))


class LayerNorm(nn.Module):
    """With an optional bias, as nanoGPT has it."""

    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Block(nn.Module):
    def __init__(self, width, heads, eager, bias, gelu):
        super().__init__()
        self.ln_1, self.ln_2 = LayerNorm(width, bias), LayerNorm(width, bias)
        self.attn = Attention(width, heads, eager, bias)
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width, bias=bias), nn.Linear(4 * width, width, bias=bias)
        self.gelu = nn.GELU(gelu)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.c_proj(self.gelu(self.c_fc(self.ln_2(x))))


class NanoGpt(nn.Module):
    """A GPT in nanoGPT's manner: learned positions, pre-norm blocks, output tied to the embedding unless told not to."""

    def __init__(self, width=32, heads=4, layers=2, eager=False, bias=True, tied=True, gelu="tanh", vocab=VOCAB):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(SEQ, width)
        self.h = nn.ModuleList(Block(width, heads, eager, bias, gelu) for _ in range(layers))
        self.ln_f = LayerNorm(width, bias)
        self.lm_head = nn.Linear(width, vocab, bias=False)
        if tied:
            self.lm_head.weight = self.wte.weight
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.1)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, input_ids):
        x = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class Gpt2(nn.Module):
    """Hugging Face's GPT-2, returning logits only. Its attention mask is an argument where the exporter needs one."""

    def __init__(self, attention, positions):
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel
        config = GPT2Config(vocab_size=VOCAB, n_positions=positions, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0,
                            embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, use_cache=False,
                            initializer_range=0.1, attn_implementation=attention)
        self.m = GPT2LMHeadModel(config)

    def forward(self, input_ids, attention_mask=None):
        return self.m(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits


class Llama(nn.Module):
    """Hugging Face's Llama: three projections without biases, rotary embeddings, keys and values shared by two heads, SwiGLU."""

    def __init__(self, attention):
        super().__init__()
        from transformers import LlamaConfig, LlamaForCausalLM
        config = LlamaConfig(vocab_size=VOCAB, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
                             num_key_value_heads=2, max_position_embeddings=SEQ, bos_token_id=0, eos_token_id=0, pad_token_id=None,
                             use_cache=False, initializer_range=0.1, tie_word_embeddings=False, attn_implementation=attention)
        self.m = LlamaForCausalLM(config)

    def forward(self, input_ids):
        return self.m(input_ids=input_ids, use_cache=False).logits


class Bert(nn.Module):
    """Hugging Face's BERT: three projections with biases that one product can replace, embeddings tied to the output."""

    def __init__(self, attention):
        super().__init__()
        from transformers import BertConfig, BertForMaskedLM
        config = BertConfig(vocab_size=VOCAB, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
                            max_position_embeddings=SEQ, type_vocab_size=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                            pad_token_id=None, initializer_range=0.1, attn_implementation=attention)
        self.m = BertForMaskedLM(config)

    def forward(self, input_ids, attention_mask=None):
        return self.m(input_ids=input_ids, attention_mask=attention_mask).logits


class PackedProjection(nn.Module):
    """nn.MultiheadAttention, whose in_proj holds q, k and v in one parameter."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(12)
        self.attn = nn.MultiheadAttention(12, 3, batch_first=True)
        self.head = nn.Linear(12, 7)
        nn.init.normal_(self.attn.in_proj_bias, std=0.1)

    def forward(self, x):
        n = self.norm(x)
        x = x + self.attn(n, n, n, need_weights=False)[0]
        return self.head(x.mean(1))


class ClassToken(nn.Module):
    """A patch encoder with a class token: `expand` makes copies of one parameter, which an optimising exporter folds."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, 16) * 0.1)
        self.pos = nn.Parameter(torch.randn(1, 5, 16) * 0.1)
        self.norm, self.mix, self.head = nn.LayerNorm(16), nn.Linear(5, 5), nn.Linear(16, 7)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        x = x + self.mix(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return self.head(x[:, 0])


class RelativeBias(nn.Module):
    """Attention over 6 positions with a bias gathered from a small table: another source of copies."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(11, 2) * 0.3)
        at = torch.arange(6)
        self.register_buffer("relative_position_index", (at[:, None] - at[None, :] + 5))
        self.qkv, self.proj, self.head = nn.Linear(12, 36), nn.Linear(12, 12), nn.Linear(12, 7)

    def forward(self, x):
        batch = x.shape[0]
        q, k, v = self.qkv(x).reshape(batch, 6, 3, 2, 6).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.table[self.relative_position_index.view(-1)].view(6, 6, 2).permute(2, 0, 1)
        scores = (q * 6 ** -0.5) @ k.transpose(-2, -1) + bias.unsqueeze(0)
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, 6, 12))
        return self.head(x.mean(1))
