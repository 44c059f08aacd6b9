"""Makes mlp.onnx, cnn.onnx, train.npz and test.npz. Needs torch, onnx, onnxscript, numpy, scikit-learn; run it here.

The data are the 1,797 handwritten digits that scikit-learn ships, 8 x 8 pixels each; a fifth is held out.
`export.py --train EPOCHS` also trains both models in PyTorch in the way the README's commands do, to compare with."""
import sys
import numpy as np, onnx, torch
from torch import nn
from torch.nn import functional as F

BATCH = 32


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                         nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(32 * 4 * 4, 10))


def make_data():
    from sklearn.datasets import load_digits
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    order = np.random.default_rng(0).permutation(len(images))
    held_out = len(images) // 5
    for name, part in (("test", order[:held_out]), ("train", order[held_out:])):
        np.savez(f"{name}.npz", image=images[part], labels=digits.target[part].astype(np.int64))


def without_stack_traces(path):
    """Every node carries the exporting program's stack, with its paths: no reader of the model needs that."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key != "pkg.torch.onnx.stack_trace"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)


def train(model, epochs):
    """AdamW as dsc has it by default."""
    data, test = ({k: torch.from_numpy(v) for k, v in np.load(f).items()} for f in ("train.npz", "test.npz"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    for epoch in range(1, epochs + 1):
        model.train()
        for at in torch.randperm(len(data["image"])).split(BATCH):
            loss = F.cross_entropy(model(data["image"][at]), data["labels"][at])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = model(test["image"])
        accuracy = (logits.argmax(1) == test["labels"]).float().mean().item()
        print(f"epoch {epoch}: held out: loss {F.cross_entropy(logits, test['labels']).item():.4f}, accuracy {accuracy:.2%}", flush=True)


for name, make in (("mlp", mlp), ("cnn", cnn)):
    torch.manual_seed(0)
    model = make()
    if sys.argv[1:2] == ["--train"]:
        train(model, int(sys.argv[2]))
        continue
    if name == "mlp":
        make_data()
    torch.onnx.export(model.eval(), (torch.zeros(2, 1, 8, 8),), f"{name}.onnx", dynamo=True, optimize=False, opset_version=20,
                      input_names=["image"], output_names=["logits"], dynamic_shapes=({0: "batch"},), external_data=False)
    without_stack_traces(f"{name}.onnx")
