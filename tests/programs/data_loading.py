"""A custom Dataset with transforms, a DataLoader with workers, a weighted sampler, random_split, padding in collate_fn."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset, Subset, WeightedRandomSampler, random_split


class Words(Dataset):
    def __init__(self, n, transform=None):
        self.items = [torch.arange(1, 2 + (i * 7) % 5) * (i + 1) for i in range(n)]
        self.labels = [i % 3 for i in range(n)]
        self.transform = transform

    def __len__(self):
        return len(self.items)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        item = self.items[idx].float()
        if self.transform:
            item = self.transform(item)
        return item, self.labels[idx]


class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return x / self.by


def collate(batch):
    xs, ys = zip(*batch)
    lengths = torch.tensor([len(x) for x in xs])
    return pad_sequence(xs, batch_first=True), lengths, torch.tensor(ys)


def main():
    torch.manual_seed(6)
    dataset = Words(20, transform=Scale(10.0))
    train_set, val_set = random_split(dataset, [14, 6])
    print(len(train_set), val_set.indices)
    loader = DataLoader(train_set, batch_size=4, shuffle=True, num_workers=2, collate_fn=collate, drop_last=True)
    for epoch in range(2):
        for x, lengths, y in loader:
            print(epoch, tuple(x.shape), lengths.tolist(), y.tolist(), f"{x.sum():.2f}")
    rnn = torch.nn.GRU(1, 3, batch_first=True)
    packed = pack_padded_sequence(x.unsqueeze(-1), lengths, batch_first=True, enforce_sorted=False)
    out, h = rnn(packed)
    padded, sizes = pad_packed_sequence(out, batch_first=True)
    print(padded.shape, sizes.tolist(), h[0, :, 0].detach())
    weights = [1.0 if label == 0 else 0.2 for label in dataset.labels]
    sampler = WeightedRandomSampler(weights, num_samples=8, replacement=True)
    print([y.item() for _, y in DataLoader(dataset, sampler=sampler, batch_size=1)])
    subset = Subset(dataset, range(0, 20, 5))
    print([(x.tolist(), y) for x, y in subset])
    images = [{"image": torch.full((1, 2), float(i)), "id": i, "name": f"n{i}"} for i in range(5)]
    print([(b["image"].shape, b["id"], b["name"]) for b in DataLoader(images, batch_size=2)])
    a, b = next(iter(DataLoader(list(zip(range(4), "abcd")), batch_size=4, shuffle=True)))
    print(a, b)


if __name__ == "__main__":
    main()
