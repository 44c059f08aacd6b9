"""Makes expected_deepspeed.json: what ds_config.json means, trained by PyTorch. Needs torch and numpy; run it here.

DeepSpeed's Adam without weight decay is PyTorch's; clipping at 1.0 is what version 0.19 does where gradient_clipping is
absent."""
import json
import numpy as np, torch

config = json.load(open("ds_config.json"))
start = json.load(open("expected.json"))["initial_weights"]
x = torch.tensor(np.load("data.npz")["x"])
STEPS, CLIP = 10, 1.0


def train(dtype):
    """A step is the next train_batch_size samples in the data's order, whatever the ranks: the mean of all its outputs."""
    model, data = torch.nn.Linear(10, 1).to(dtype), x.to(dtype)
    model.load_state_dict({name: torch.tensor(value, dtype=dtype) for name, value in start.items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=config["optimizer"]["params"]["lr"])
    size, parts = config["train_batch_size"], config["gradient_accumulation_steps"]
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        batch = data[torch.arange(step * size, (step + 1) * size) % len(data)]
        total = 0.0
        for part in batch.chunk(parts):
            loss = model(part).mean() / parts
            loss.backward()
            total += loss.item()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        optimizer.step()
        losses.append(total)
    return {"losses": losses, "grad_norms": norms,
            "weights": {name: p.detach().tolist() for name, p in model.named_parameters()}}


expected = {"torch": torch.__version__, "steps": STEPS, "clip": CLIP, "float64": train(torch.float64), "float32": train(torch.float32)}
with open("expected_deepspeed.json", "w") as f:
    json.dump(expected, f, indent=1)
    f.write("\n")
