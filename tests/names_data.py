"""Names of PyTorch that programs use, by where they are: gathered from 245 small public programs."""

from __future__ import annotations

NAMES: dict[str, str] = {
    "": """
        FloatTensor Generator LongTensor Size Tensor abs add all allclose arange argmax argsort as_tensor asin bfloat16
        bitwise_xor bmm bool cat ceil clamp cos cosh cross cumprod device diag dot double einsum empty empty_like eq erf
        exp eye flatten float float16 float32 float64 floor from_numpy full gather get_default_device gt histogram inf
        inference_mode int16 int32 int64 isinf isnan linspace load log log1p log2 long manual_seed matmul max mean
        meshgrid min mm mul multinomial no_grad nonzero norm normal ones ones_like pi pow prod rand rand_like randint
        randn randn_like randperm relu repeat_interleave reshape roll save set_default_device set_grad_enabled sigmoid
        sign sin sin_ sinh softmax split sqrt stack std sum svd tanh tensor topk transpose tril triu uint8 unbind unique
        unsqueeze use_deterministic_algorithms where zeros zeros_like
    """,
    "Tensor": """
        T abs add_ addcdiv_ addcmul_ all any argmax argsort backward bernoulli_ bmm bool byte ceil chunk clamp clamp_
        clip clone contiguous copy_ cos cpu cuda cumsum data detach device dim div div_ dot double dtype eq exp exp_
        expand expand_as fill_ flatten flip float floor gather grad grad_fn half index_add_ index_fill_ is_cuda is_xpu
        item log log10 long mT masked_fill masked_fill_ matmul max mean min mm mul mul_ multiply narrow ndim nelement
        new_tensor new_zeros norm normal_ numel numpy permute pin_memory pow prod ravel relu repeat repeat_interleave
        requires_grad requires_grad_ reshape retain_grad scatter scatter_ shape sigmoid sign sin size softmax sort split
        sqrt squeeze std stride sum swapaxes t tanh to tolist topk transpose triu_ type type_as unfold uniform_ unique
        unsqueeze unsqueeze_ var view view_as zero_
    """,
    "accelerator": """
        current_accelerator device_count is_available set_device_index
    """,
    "amp": """
        GradScaler autocast custom_bwd custom_fwd grad_scaler.OptState is_autocast_available
    """,
    "autograd": """
        Function Variable grad
    """,
    "backends.cuda": """
        matmul
    """,
    "backends.cudnn": """
        allow_tf32 benchmark deterministic
    """,
    "backends.mps": """
        is_available
    """,
    "cuda": """
        FloatTensor LongTensor device_count empty_cache is_available is_bf16_supported manual_seed manual_seed_all
        set_device synchronize
    """,
    "cpu.amp": """
        GradScaler autocast
    """,
    "cuda.amp": """
        GradScaler autocast custom_bwd custom_fwd
    """,
    "distributions": """
        Categorical Normal
    """,
    "nn": """
        AdaptiveAvgPool2d AvgPool2d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d Conv1d Conv2d ConvTranspose2d
        CosineEmbeddingLoss CrossEntropyLoss Dropout Dropout2d Embedding Flatten GELU GRU GroupNorm Hardsigmoid
        Hardswish Identity InstanceNorm2d KLDivLoss L1Loss LSTM LSTMCell LayerNorm LeakyReLU Linear LogSoftmax MSELoss
        MaxPool2d Module ModuleDict ModuleList MultiheadAttention NLLLoss Parameter PixelShuffle RNN ReLU ReLU6
        ReflectionPad2d Sequential SiLU Sigmoid SmoothL1Loss Softmax Tanh Transformer TransformerEncoder
        TransformerEncoderLayer Upsample
    """,
    "nn.Module": """
        add_module apply children eval forward load_state_dict modules named_modules named_parameters parameters
        register_buffer register_parameter share_memory state_dict train zero_grad
    """,
    "nn.functional": """
        adaptive_avg_pool2d affine_grid avg_pool1d avg_pool2d binary_cross_entropy binary_cross_entropy_with_logits
        cross_entropy dropout elu gelu grid_sample interpolate layer_norm leaky_relu linear log_softmax max_pool2d
        mse_loss multi_head_attention_forward nll_loss normalize one_hot pad relu scaled_dot_product_attention sigmoid
        smooth_l1_loss softmax softplus tanh
    """,
    "nn.init": """
        constant kaiming_normal normal
        calculate_gain constant_ kaiming_normal_ kaiming_uniform_ normal_ ones_ orthogonal_ trunc_normal_ uniform_
        xavier_normal_ xavier_uniform_ zeros_
    """,
    "nn.utils": """
        clip_grad_norm_ clip_grad_value_ weight_norm
    """,
    "nn.utils.rnn": """
        pack_padded_sequence pad_sequence
    """,
    "optim": """
        Adadelta Adam AdamW LBFGS Optimizer RMSprop SGD
    """,
    "optim.Optimizer": """
        step zero_grad
    """,
    "optim.lr_scheduler": """
        CosineAnnealingLR LambdaLR MultiStepLR ReduceLROnPlateau StepLR
    """,
    "sparse": """
    """,
    "utils.data": """
        DataLoader Dataset RandomSampler Subset TensorDataset random_split
    """,
    "utils.tensorboard": """
        SummaryWriter
    """,
}
