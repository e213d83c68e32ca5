"""`gpugrad.profiler`: where the time, the memory and the bytes of a program go, as `torch.profiler`.

    with gpugrad.profiler.profile(record_shapes=True) as prof:
        model(x).sum().backward()
    print(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=10))
    prof.export_chrome_trace("trace.json")

An op is one row by its name, its rules are another (`MulBackward0`); what an op calls counts to its total time and not
to its own. "Bytes moved" are those of a call's arguments and results: what it reads and writes at the least.
"""

from .activity import ProfilerAction, ProfilerActivity, schedule, supported_activities, tensorboard_trace_handler
from .events import DeviceType, EventList, FunctionEvent, FunctionEventAvg
from .ranges import record_function
from .session import profile

__all__ = [
    "DeviceType",
    "EventList",
    "FunctionEvent",
    "FunctionEventAvg",
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]
