"""WGAN-GP: a penalty on the norm of a gradient, so a gradient of a gradient; frozen critic; RMSprop; hooks."""

import torch
from torch import autograd, nn

torch.manual_seed(5)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16), nn.ELU(), nn.Linear(16, 16), nn.Softplus(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net(x)


def compute_gradient_penalty(D, real_samples, fake_samples):
    alpha = torch.rand(real_samples.size(0), 1)
    interpolates = (alpha * real_samples + ((1 - alpha) * fake_samples)).requires_grad_(True)
    d_interpolates = D(interpolates)
    fake = torch.ones(d_interpolates.shape, requires_grad=False)
    gradients = autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=fake,
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


critic, generator = Critic(), nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 3))
opt_c = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
opt_g = torch.optim.RMSprop(generator.parameters(), lr=1e-3)
seen = []
handle = critic.net[0].register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
for step in range(6):
    real = torch.randn(32, 3) * torch.tensor([1.0, 0.5, 2.0]) + 1
    for p in critic.parameters():
        p.requires_grad_(True)
    for _ in range(2):
        opt_c.zero_grad()
        with torch.no_grad():
            fake = generator(torch.randn(32, 4))
        gp = compute_gradient_penalty(critic, real.data, fake.data)
        loss_c = critic(fake).mean() - critic(real).mean() + 10.0 * gp
        loss_c.backward()
        opt_c.step()
    for p in critic.parameters():
        p.requires_grad_(False)
    opt_g.zero_grad()
    loss_g = -critic(generator(torch.randn(32, 4))).mean()
    loss_g.backward()
    opt_g.step()
    print(f"step {step}: critic {loss_c.item():.5f} penalty {gp.item():.5f} generator {loss_g.item():.5f}")
handle.remove()
print(len(seen), seen[0])
x = torch.randn(3, requires_grad=True)
y = critic(x[None]).squeeze()
(g,) = autograd.grad(y, x, create_graph=True)
hessian_row = autograd.grad(g[0], x)[0]
print(g.detach(), hessian_row)
