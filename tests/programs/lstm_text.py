"""A character model: embedding, a two-layer LSTM with dropout, hidden state carried and detached, tied weights, sampling."""

import math

import torch
import torch.nn as nn

torch.manual_seed(3)
text = "the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs. " * 4
vocab = sorted(set(text))
stoi = {ch: i for i, ch in enumerate(vocab)}
data = torch.tensor([stoi[c] for c in text], dtype=torch.long)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


class RNNModel(nn.Module):
    def __init__(self, ntoken, nhid, nlayers, dropout=0.2):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, nhid)
        self.rnn = nn.LSTM(nhid, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        self.decoder.weight = self.encoder.weight
        self.init_weights()
        self.nhid, self.nlayers = nhid, nlayers

    def init_weights(self):
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output))
        return decoded.view(-1, decoded.size(-1)), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


train_data = batchify(data, 4)
model = RNNModel(len(vocab), 24, 2)
print(sum(p.numel() for p in model.parameters()), "parameters;", len(model.state_dict()), "entries")
criterion = nn.CrossEntropyLoss()
lr, bptt = 5.0, 12
for epoch in range(2):
    model.train()
    total_loss = 0.0
    hidden = model.init_hidden(4)
    for i in range(0, train_data.size(0) - 1, bptt):
        seq_len = min(bptt, len(train_data) - 1 - i)
        inputs, targets = train_data[i : i + seq_len], train_data[i + 1 : i + 1 + seq_len].view(-1)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(inputs, hidden)
        loss = criterion(output, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        total_loss += seq_len * loss.item()
    print(
        f"| epoch {epoch} | norm {norm:.4f} | loss {total_loss / len(train_data):5.4f} | ppl {math.exp(total_loss / len(train_data)):8.3f}"
    )

model.eval()
with torch.no_grad():
    hidden = model.init_hidden(1)
    input = torch.randint(len(vocab), (1, 1), dtype=torch.long)
    out = ""
    for _ in range(30):
        output, hidden = model(input, hidden)
        word_weights = output.squeeze().div(0.8).exp().cpu()
        word_idx = torch.multinomial(word_weights, 1)[0]
        input.fill_(word_idx)
        out += vocab[word_idx]
print(repr(out))
