"""How many bytes of tensors are alive at once while a module runs; on `meta`, so that size costs nothing."""

import weakref
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class Alive(TorchDispatchMode):
    """Counts every storage that is made until the last tensor on it is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._seen: dict[int, list[int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        for tensor in tree_iter(answer):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor)
        return answer

    def _see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        entry = self._seen.setdefault(storage._cdata, [0, storage.nbytes()])
        entry[0] += 1
        if entry[0] == 1:
            self.now += entry[1]
            self.most = max(self.most, self.now)
        weakref.finalize(tensor, self._drop, storage._cdata)

    def _drop(self, key: int) -> None:
        entry = self._seen[key]
        entry[0] -= 1
        if entry[0] == 0:
            self.now -= entry[1]
            del self._seen[key]


class Fused(TorchFunctionMode):
    """Attention as fused kernels do it: nothing but the answer is kept."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))


def most_alive(module: nn.Module, *arguments: torch.Tensor) -> int:
    """Bytes, beside the module's weights and the arguments."""
    with torch.no_grad(), Fused(), Alive() as alive:
        module(*arguments)
    return alive.most
