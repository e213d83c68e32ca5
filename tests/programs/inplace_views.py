"""In-place operations, views, masks and indexing as tutorials use them; what is printed of tensors."""

import numpy as np
import torch

torch.manual_seed(9)
data = [[1, 2], [3, 4]]
x_data = torch.tensor(data)
x_ones = torch.ones_like(x_data)
print(f"Ones Tensor: \n {x_ones} \n")
print(f"Random Tensor: \n {torch.rand_like(x_data, dtype=torch.float)} \n")
tensor = torch.ones(4, 4)
print(f"First row: {tensor[0]}, last column: {tensor[..., -1]}")
tensor[:, 1] = 0
print(tensor, tensor.dtype, tensor.device, tensor.shape)
t1 = torch.cat([tensor, tensor], dim=1)
print(t1.size(), tensor.T @ tensor, tensor.sum().item())
tensor.add_(5)
n = tensor.numpy()
np.add(n, 1, out=n)
print(tensor[0], n[0], torch.from_numpy(np.ones(3)))

base = torch.zeros(3, 4, requires_grad=True)
y = base * 2 + 1
y[0] += 3
y[:, 1].mul_(2)
y[y > 3] = 0
view = y.view(2, 6)
view[1, ::2] -= 1
z = (y * torch.arange(12.0).view(3, 4)).sum()
z.backward()
print(y)
print(base.grad)
print(y.grad_fn is not None, view._base is y, y.is_leaf, base.is_leaf)

idx = torch.tensor([[0, 2], [1, 1]])
table = torch.arange(12.0).view(3, 4).requires_grad_()
picked = table.gather(1, idx.new_tensor([[0, 3], [1, 1], [2, 0]]))
(picked * table[[2, 0, 1], :2]).sum().backward()
print(picked, table.grad)
out = torch.zeros(3, 5).scatter_(1, torch.tensor([[1], [0], [4]]), 1.0)
out.index_add_(0, torch.tensor([0, 2]), torch.full((2, 5), 0.5))
out.masked_fill_(out == 0, -1)
print(out, out[out > 0].mean(), out.argmax(dim=1), (out > 0).nonzero().tolist())
big = torch.arange(3000).reshape(60, 50)
print(big)
print(torch.tensor([1e-8, 1.0, 1e8]), torch.tensor([True, False]), torch.tensor(3.14159265), torch.empty(0, 3))
print(torch.tensor([0.1, 20.5, -3]), torch.tensor([1.0, 2.0]), torch.tensor([float("nan"), float("inf"), 1.5]))
print(torch.arange(6).view(2, 3).float().std(dim=0), torch.randperm(8), torch.randint(0, 10, (2, 3)))
print(torch.linspace(0, 1, 5).unsqueeze(1).expand(5, 2).permute(1, 0).contiguous().stride())
values, indices = torch.sort(torch.tensor([[3, 1, 2], [9, 7, 8]]), descending=True)
print(values, indices, torch.topk(torch.tensor([1.0, 5.0, 3.0]), 2))
print(torch.where(big[:2, :4] % 2 == 0, big[:2, :4], -1), torch.cumsum(torch.ones(4), 0), torch.tril(torch.ones(3, 3)))
try:
    leaf = torch.ones(2, requires_grad=True)
    leaf += 1
except RuntimeError as e:
    print("RuntimeError:", "leaf Variable that requires grad" in str(e))
w = torch.ones(2, requires_grad=True)
s = w.exp()
s2 = (s * s).sum()
s.add_(1)
try:
    s2.backward()
except RuntimeError as e:
    print("RuntimeError:", "modified by an inplace operation" in str(e))
