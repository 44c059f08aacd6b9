"""The optimizers in float64, by the formulas of their papers and of PyTorch; DeepSpeed's FusedLamb for LAMB.

Each class keeps the state of one parameter: step(p, g, t, lr, decay) gives the parameter behind update t (from 1)."""

import numpy as np


class Adam:
    decoupled = False

    def __init__(self, shape, betas, eps=1e-8, **_):
        self.m, self.v, self.betas, self.eps = np.zeros(shape), np.zeros(shape), betas, eps

    def step(self, p, g, t, lr, decay):
        beta1, beta2 = self.betas
        if self.decoupled:
            p = p * (1 - lr * decay)
        else:
            g = g + decay * p
        self.m = beta1 * self.m + (1 - beta1) * g
        self.v = beta2 * self.v + (1 - beta2) * g * g
        return p - lr / (1 - beta1**t) * self.m / (np.sqrt(self.v) / np.sqrt(1 - beta2**t) + self.eps)


class AdamW(Adam):
    decoupled = True


class Sgd:
    def __init__(self, shape, momentum=0.0, dampening=0.0, nesterov=False, **_):
        self.buffer, self.momentum, self.dampening, self.nesterov = np.zeros(shape), momentum, dampening, nesterov

    def step(self, p, g, t, lr, decay):
        g = g + decay * p
        self.buffer = g if t == 1 else self.momentum * self.buffer + (1 - self.dampening) * g
        return p - lr * (g + self.momentum * self.buffer if self.nesterov else self.buffer)


class Lion:
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, shape, betas, **_):
        self.m, self.betas = np.zeros(shape), betas

    def step(self, p, g, t, lr, decay):
        beta1, beta2 = self.betas
        direction = np.sign(beta1 * self.m + (1 - beta1) * g)
        self.m = beta2 * self.m + (1 - beta2) * g
        return p * (1 - lr * decay) - lr * direction


class Adagrad:
    def __init__(self, shape, eps=1e-10, lr_decay=0.0, initial=0.0, **_):
        self.sum, self.eps, self.lr_decay = np.full(shape, float(initial)), eps, lr_decay

    def step(self, p, g, t, lr, decay):
        g = g + decay * p
        self.sum = self.sum + g * g
        return p - lr / (1 + (t - 1) * self.lr_decay) * g / (np.sqrt(self.sum) + self.eps)


class Lamb:
    def __init__(self, shape, betas, eps=1e-8, limits=(0.01, 10.0), **_):
        self.m, self.v, self.betas, self.eps, self.limits = np.zeros(shape), np.zeros(shape), betas, eps, limits

    def step(self, p, g, t, lr, decay):
        beta1, beta2 = self.betas
        self.m = beta1 * self.m + (1 - beta1) * g
        self.v = beta2 * self.v + (1 - beta2) * g * g
        direction = self.m / (np.sqrt(self.v) + self.eps) + decay * p
        weight, length = np.linalg.norm(p), np.linalg.norm(direction)
        ratio = np.clip(weight / length, *self.limits) if weight > 0 and length > 0 else 1.0
        return p - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * ratio * direction


OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": Sgd, "lion": Lion, "adagrad": Adagrad, "lamb": Lamb}
