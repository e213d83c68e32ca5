"""Two programs as PyTorch's documentation would write them: the import is all that says gpugrad."""

from __future__ import annotations

import gpugrad as torch
import gpugrad.optim as optim

# The first program: the gradient of a formula.
x = torch.tensor([2.0, 3.0], requires_grad=True)
y = 3 * x + 2

loss = torch.sum(y)
loss.backward()

print(x.grad)


# What the second program takes for granted: a network, data (the first program's formula), and how long to train.
class MyNetwork(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(1, 16)
        self.output = torch.nn.Linear(16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(torch.tanh(self.hidden(x)))


torch.manual_seed(0)
input = torch.randn(64, 1)
target = 3 * input + 2
num_epochs = 1000

# The second program: optimizing parameters.
# Define the network and loss function
model = MyNetwork()
criterion = torch.nn.MSELoss()

# Set up the optimizer
optimizer = optim.SGD(model.parameters(), lr=0.01)

# Training loop
for epoch in range(num_epochs):  # noqa: B007
    optimizer.zero_grad()
    output = model(input)
    loss = criterion(output, target)
    loss.backward()
    optimizer.step()

print(f"loss after {num_epochs} epochs: {loss.item():.4f}")
print(f"at 0.5 the formula is 3.5, the network {model(torch.tensor([0.5])).item():.2f}")
