// Many tensors in one launch: a table of pointers passed by value, and which part of which tensor a block works on.
//
// Each tensor is cut into chunks of kChunkThreads threads, kChunkPacks times 16 bytes to a thread; the blocks of the grid
// are the chunks of all tensors, one after the other. A block finds its tensor by bisection, all its threads alike.
#pragma once
#include "common.cuh"

namespace gpugrad {

constexpr int kTensors = 64;  // to a launch: five lists of them and their sizes stay below the 4 KiB of parameters
constexpr int kChunkThreads = 256, kChunkPacks = 4;

template <class T> constexpr int kChunk = kChunkThreads * kChunkPacks * kPack<T>;

// LISTS parallel lists of tensors of one dtype, each contiguous; NUMBERS single numbers of each tensor.
template <int LISTS, int NUMBERS = 1> struct Tensors {
    void* data[LISTS][kTensors];
    float* number[NUMBERS][kTensors];
    int64 size[kTensors];
    int first[kTensors + 1]; // the number of each tensor's first block; after the last, the size of the grid
    int count;
};

// Elements [begin, end) of tensor `number`; up to `packed`, by packs of 16 bytes.
struct Part {
    int number;
    int64 begin, packed, end;
};

template <class T, int LISTS, int NUMBERS>
__device__ __forceinline__ Part part_of_block(const Tensors<LISTS, NUMBERS>& tensors) {
    const int block = static_cast<int>(blockIdx.x);
    int low = 0, high = tensors.count - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (tensors.first[middle] <= block) low = middle;
        else high = middle - 1;
    }
    uint64 addresses = 0;
#pragma unroll
    for (int l = 0; l < LISTS; ++l) addresses |= reinterpret_cast<uint64>(tensors.data[l][low]);
    const int64 size = tensors.size[low], begin = static_cast<int64>(block - tensors.first[low]) * kChunk<T>;
    const int64 end = begin + kChunk<T> < size ? begin + kChunk<T> : size;
    const int64 packed = addresses % 16 == 0 && begin < end ? begin + (end - begin) / kPack<T> * kPack<T> : begin;
    return {low, begin, packed, end};
}

}  // namespace gpugrad
