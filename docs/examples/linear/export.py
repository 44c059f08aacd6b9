"""Makes this folder's files: model.onnx, data.npz and expected.json. Needs torch, onnx, onnxscript, numpy; run it here.

The model is PyTorch's Linear(10, 1), its loss the mean of the outputs, so the whole of training can be checked by hand.
expected.json is what PyTorch gets when it trains in the way the README's command does."""
import json
import numpy as np, onnx, torch

MICRO_BATCH, ACCUMULATE, SAMPLES, STEPS, LR = 4, 2, 64, 10, 1e-3


def without_stack_traces(path):
    """Every node carries the exporting program's stack, with its paths: no reader of the model needs that."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


def train(model, x, dtype):
    """Micro-batches in the data's order, over and over; the gradient of a step is the mean of its micro-batches'."""
    model, x = model.to(dtype), x.to(dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-8)
    losses, norms, at = [], [], 0
    for _ in range(STEPS):
        optimizer.zero_grad()
        total = 0.0
        for _ in range(ACCUMULATE):
            loss = model(x[at:at + MICRO_BATCH]).mean()
            (loss / ACCUMULATE).backward()
            total += loss.item() / ACCUMULATE
            at = (at + MICRO_BATCH) % SAMPLES
        norms.append(torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item())
        optimizer.step()
        losses.append(total)
    return {"losses": losses, "grad_norms": norms,
            "weights": {name: p.detach().tolist() for name, p in model.named_parameters()}}


torch.manual_seed(0)
model = torch.nn.Linear(10, 1)
x = torch.randn(SAMPLES, 10)
torch.onnx.export(model, (x[:MICRO_BATCH],), "model.onnx", dynamo=True, optimize=False, opset_version=20,
                  input_names=["x"], output_names=["y"], external_data=False)
without_stack_traces("model.onnx")
np.savez("data.npz", x=x.numpy())
start = {name: p.clone() for name, p in model.state_dict().items()}
expected = {"loss": "mean", "optimizer": "adam", "lr": LR, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0,
            "micro_batch": MICRO_BATCH, "accumulate": ACCUMULATE, "samples": SAMPLES, "steps": STEPS, "shuffle": False,
            "initial_weights": {name: p.tolist() for name, p in start.items()}}
for key, dtype in (("float64", torch.float64), ("float32", torch.float32)):
    model.load_state_dict(start)
    expected[key] = train(model, x, dtype)
    model.to(torch.float32)
with open("expected.json", "w") as f:
    json.dump(expected, f, indent=1)
    f.write("\n")
