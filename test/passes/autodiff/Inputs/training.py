"""Makes training.json: what PyTorch gets when it trains the model of mlp.mlir. Needs torch; run it here.

Each run has four steps of up to two micro-batches. The second step holds an infinite sample, so it must be skipped: nothing
of it may remain. In the third step one micro-batch has no counted label, in the fourth none has. Numbers that the program
holds in f32 (learning rate, betas, ...) are powers of two or sums of few, so that f64 and f32 have the same."""
import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(3)
LR, BETAS, EPS, DECAY, CLIP, MOMENTUM, DAMPENING = 2**-5, (0.875, 0.9375), 2**-20, 0.125, 0.25, 0.75, 0.25
LR_DECAY, ACCUMULATOR = 0.5, 0.25
SMOOTHING, IGNORE = 0.125, -7

start = {"w1": torch.randn(3, 5), "b1": torch.randn(5), "gamma": torch.rand(5) + 0.5, "beta": torch.randn(5),
         "w2": torch.randn(4, 5), "running_mean": torch.randn(5), "running_var": torch.rand(5) + 0.5}
TRAINED = ["w1", "b1", "gamma", "beta", "w2"]
x = torch.randn(4, 2, 6, 3)
labels = torch.randint(0, 4, (4, 2, 6))
labels[0, 0, :4] = IGNORE
labels[0, 1, 2] = IGNORE
x[1, 0, 3, 1] = math.inf
labels[2, 1] = IGNORE
labels[3] = IGNORE


class Lamb:
    """DeepSpeed's FusedLamb with its default limits of the trust ratio. (Lion is not here: the bias before the batch norm has no
    gradient but rounding, of which Lion takes the sign.)"""

    def __init__(self, parameters):
        self.parameters, self.t = parameters, 0
        self.m, self.v = ([torch.zeros_like(p) for p in parameters] for _ in range(2))

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        for p, m, v in zip(self.parameters, self.m, self.v):
            m.mul_(BETAS[0]).add_((1 - BETAS[0]) * p.grad)
            v.mul_(BETAS[1]).add_((1 - BETAS[1]) * p.grad**2)
            direction = m / (v.sqrt() + EPS) + DECAY * p
            ratio = (p.norm() / direction.norm()).clamp(0.01, 10) if p.norm() > 0 and direction.norm() > 0 else 1
            p.sub_(LR * math.sqrt(1 - BETAS[1] ** self.t) / (1 - BETAS[0] ** self.t) * ratio * direction)


def forward(p, batch):
    h = F.batch_norm(batch @ p["w1"] + p["b1"], p["running_mean"], p["running_var"], p["gamma"], p["beta"], True, 0.1)
    return F.relu(h) @ p["w2"].T


def run(kind, mean, micro_batches, clip):
    p = {name: value.clone().requires_grad_(name in TRAINED) for name, value in start.items()}
    trained = [p[name] for name in TRAINED]
    if kind == "sgd":
        optimizer = torch.optim.SGD(trained, LR, MOMENTUM, DAMPENING, DECAY)
    elif kind == "nesterov":
        optimizer = torch.optim.SGD(trained, LR, MOMENTUM, 0, DECAY, nesterov=True)
    elif kind == "adagrad":
        optimizer = torch.optim.Adagrad(trained, LR, LR_DECAY, DECAY, ACCUMULATOR, EPS)
    elif kind == "lamb":
        optimizer = Lamb(trained)
    else:
        make = torch.optim.AdamW if kind == "adamw" else torch.optim.Adam
        optimizer = make(trained, LR, BETAS, EPS, DECAY)
    steps = []
    for s in range(4):
        buffers = {name: p[name].clone() for name in start if name not in TRAINED}
        optimizer.zero_grad()
        sums, counts = [], []
        for m in range(micro_batches):
            logits = forward(p, x[s, m])
            sums.append(F.cross_entropy(logits, labels[s, m], ignore_index=IGNORE, label_smoothing=SMOOTHING,
                                        reduction="sum"))
            counts.append((labels[s, m] != IGNORE).sum().item())
        if mean == "global":
            loss = sum(sums) / max(sum(counts), 1)
        else:
            loss = sum(a / max(n, 1) for a, n in zip(sums, counts)) / micro_batches
        loss.backward()
        norm = torch.cat([t.grad.flatten() for t in trained]).norm()
        value = loss.item() if sum(counts) else math.nan
        skipped = not (math.isfinite(value) and math.isfinite(norm.item()))
        if skipped:
            for name, old in buffers.items():
                p[name].copy_(old)
        else:
            if clip:
                torch.nn.utils.clip_grad_norm_(trained, clip)
            optimizer.step()
        step = {"skipped": skipped, "parameters": {name: p[name].flatten().tolist() for name in start}}
        if not skipped:
            step.update(loss=value, norm=norm.item())
        steps.append(step)
    return {"optimizer": "sgd" if kind == "nesterov" else kind, "nesterov": kind == "nesterov",
            "dampening": 0 if kind == "nesterov" else DAMPENING, "loss_mean": mean, "micro_batches": micro_batches,
            "clip": clip, "steps": steps}


runs = [run(*arguments) for arguments in [
    ("adamw", "micro-batch", 1, 0), ("adam", "micro-batch", 2, CLIP), ("adamw", "global", 2, 0), ("sgd", "global", 1, CLIP),
    ("sgd", "micro-batch", 2, 0), ("nesterov", "micro-batch", 1, 0), ("adagrad", "global", 2, 0), ("lamb", "micro-batch", 2, CLIP)]]
with open("training.json", "w") as f:
    json.dump({"lr": LR, "betas": BETAS, "epsilon": EPS, "weight_decay": DECAY, "momentum": MOMENTUM,
               "lr_decay": LR_DECAY, "initial_accumulator": ACCUMULATOR,
               "label_smoothing": SMOOTHING, "ignore_index": IGNORE, "infinite": [1, 0, 3, 1],
               "start": {name: value.flatten().tolist() for name, value in start.items()},
               "x": torch.where(torch.isinf(x), 0.0, x).flatten().tolist(), "labels": labels.flatten().tolist(),
               "runs": runs}, f)
    f.write("\n")
