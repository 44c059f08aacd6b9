"""Makes reference.json: what PyTorch's optimizers do with random gradients, in float64 and in two param_groups, the second with
a learning rate and a weight decay of its own. Needs torch; run it here. run_optimizers.py holds formulas.py to it."""

import json

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(5)
SIZE, STEPS, LR, DECAY, OTHER = 4, 20, 2**-5, 0.125, {"lr": 2**-6, "weight_decay": 0.5}
start, gradients = torch.randn(2, SIZE), torch.randn(STEPS, 2, SIZE)

RUNS = [
    ("adamw", torch.optim.AdamW, {"betas": [0.875, 0.9375], "eps": 1e-8}),
    ("adam", torch.optim.Adam, {"betas": [0.875, 0.9375], "eps": 1e-8}),
    ("sgd", torch.optim.SGD, {}),
    ("sgd", torch.optim.SGD, {"momentum": 0.75, "dampening": 0.25}),
    ("sgd", torch.optim.SGD, {"momentum": 0.75, "nesterov": True}),
    ("adagrad", torch.optim.Adagrad, {"eps": 1e-10}),
    ("adagrad", torch.optim.Adagrad, {"eps": 1e-10, "lr_decay": 0.125, "initial_accumulator_value": 0.5}),
]  # fmt: skip

runs = []
for kind, make, numbers in RUNS:
    first, second = (part.clone().requires_grad_() for part in start)
    optimizer = make([{"params": [first]}, {"params": [second], **OTHER}], lr=LR, weight_decay=DECAY, **numbers)
    for of_first, of_second in gradients:
        first.grad, second.grad = of_first.clone(), of_second.clone()
        optimizer.step()
    runs.append({"optimizer": kind, "numbers": numbers, "result": [first.tolist(), second.tolist()]})
with open("reference.json", "w") as f:
    json.dump({"torch": torch.__version__.split("+")[0], "lr": LR, "weight_decay": DECAY, "other": OTHER, "start": start.tolist(),
               "gradients": gradients.tolist(), "runs": runs}, f)  # fmt: skip
    f.write("\n")
