"""The names of `gpugrad` that are loaded when a program first asks for one, and the module that has each."""

from __future__ import annotations

from .ops.names import ELSEWHERE, LATER

_MODULES = "accelerator amp autograd backends cpu cuda data distributions fft func linalg nn optim profiler random return_types special utils version"
_BY_MODULE = {
    "serialization": "load save",
    "amp.autocast_mode": """
        autocast autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache get_autocast_dtype
        is_autocast_cache_enabled is_autocast_enabled set_autocast_cache_enabled set_autocast_dtype set_autocast_enabled
    """,
    "amp.old_names": """
        get_autocast_cpu_dtype get_autocast_gpu_dtype is_autocast_cpu_enabled set_autocast_cpu_dtype
        set_autocast_cpu_enabled set_autocast_gpu_dtype
    """,
    "anomaly": "is_anomaly_enabled",
    "cuda.errors": "OutOfMemoryError",
    "exchange": "from_cupy from_dlpack",
    "func": "vmap",
    "expr": "elementwise",
    "layouts": "contiguous_format layout memory_format preserve_format strided",
    "printing": "set_printoptions",
    "random": "Generator default_generator get_rng_state initial_seed manual_seed seed set_rng_state",
    "settings": """
        are_deterministic_algorithms_enabled get_deterministic_debug_mode get_float32_matmul_precision
        is_deterministic_algorithms_warn_only_enabled set_deterministic_debug_mode set_float32_matmul_precision
        use_deterministic_algorithms
    """,
    "legacy_types": """
        BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor
        ShortTensor set_default_tensor_type
    """,
    "threads": "get_num_threads set_num_threads",
    "toplevel": """
        alpha_dropout batch_norm binary_cross_entropy_with_logits cosine_embedding_loss detach dropout embedding
        conj feature_alpha_dropout get_device group_norm hinge_embedding_loss instance_norm is_complex is_conj
        is_inference is_neg is_nonzero is_same_size is_signed is_storage kl_div layer_norm margin_ranking_loss
        poisson_nll_loss real resolve_conj resolve_neg rrelu triplet_margin_loss typename

        abs_ acos_ acosh_ alpha_dropout_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_ asinh_ atan_ atanh_
        ceil_ celu_ clamp_ clamp_max_ clamp_min_ clip_ cos_ cosh_ deg2rad_ detach_ dropout_ erf_ erfc_ exp2_ exp_
        expm1_ feature_alpha_dropout_ fill_ fix_ floor_ frac_ gcd_ i0_ index_put_ lcm_ ldexp_ log10_ log1p_ log2_ log_
        logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ round_ rrelu_ rsqrt_ selu_ sigmoid_ sin_ sinc_
        sinh_ sqrt_ square_ tan_ tanh_ threshold_ trunc_ xlogy_ zero_
    """,
}

MODULES = frozenset(_MODULES.split())
NAMES = {name: module for module, names in _BY_MODULE.items() for name in names.split()}
NAMES |= {name: f"ops.{family}" for name, family in LATER.items() if name not in ELSEWHERE}

__all__ = ["MODULES", "NAMES"]
