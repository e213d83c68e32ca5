// The table of a module's kernels, from which Python launches them: how to call each with pointers to its arguments,
// as cuLaunchKernel does, and how large each argument is. build.py appends the table to the source.
#pragma once

namespace simulator {

template <class T> constexpr Param describe() {
    if (std::is_pointer_v<T>) return {sizeof(T), 'p'};
    if (std::is_floating_point_v<T>) return {sizeof(T), 'f'};
    if (std::is_integral_v<T> || std::is_enum_v<T>) return {sizeof(T), 'i'};
    return {sizeof(T), 'o'};
}

template <auto kernel, class... Args> struct Entry {
    static constexpr Param params[sizeof...(Args) + 1] = {describe<Args>()..., {0, 0}};
    template <size_t... I> __attribute__((no_sanitize("thread", "undefined"))) static void call(void* const* args, std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_cv_t<Args>*>(args[I])...);
    }
    __attribute__((no_sanitize("thread", "undefined"))) static void enter(void* const* args) {
        call(args, std::index_sequence_for<Args...>());
    }
};

template <auto kernel, class... Args> constexpr Kernel describe_kernel(const char* name, void (*)(Args...)) {
    using E = Entry<kernel, Args...>;
    return {name, E::enter, sizeof...(Args), E::params};
}

}  // namespace simulator

#define GPUGRAD_KERNEL(name, ...) simulator::describe_kernel<(__VA_ARGS__)>(name, (__VA_ARGS__))
