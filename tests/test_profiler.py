"""The profiler: what it writes down of calls, and that it leaves nothing behind."""

from __future__ import annotations

import threading
import time
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad import engine, function, nn, op, optim
from gpugrad.device import ARRAY_TYPES
from gpugrad.profiler import FunctionEvent, ProfilerActivity, profile, record_function
from gpugrad.profiler.events import EventList

CPU = [ProfilerActivity.CPU]


def names(events: Any) -> list[str]:
    return [e.name for e in events]


def only(events: Any, name: str) -> Any:
    (found,) = [e for e in events if e.key == name]
    return found


def held() -> list[Any]:
    """What a profile puts something in the place of."""
    members = [(op.Impls, "__getitem__"), (op.Op, "pull"), (function._FunctionOp, "pull"), (function.Function, "apply")]
    members += [(nn.Module, "__call__"), (optim.Optimizer, "step"), (optim.SGD, "step"), (optim.SGD, "zero_grad")]
    kept: list[Any] = [vars(owner).get(name) for owner, name in members]
    kinds = [ARRAY_TYPES[np.ndarray]]
    return [*kept, engine._store, *[(kind.full, kind.from_numpy, kind.to_numpy) for kind in kinds]]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    before = held()
    yield
    assert held() == before
    assert not tracemalloc.is_tracing()
    with profile(activities=CPU):
        pass


# ---- what is written down ----


def test_ops_and_their_rules_are_written_down_where_they_were_called() -> None:
    x, w = gpugrad.ones(3, 4, requires_grad=True), gpugrad.ones(3, 4)
    with profile(activities=CPU, record_shapes=True) as prof:
        with record_function("forward"):
            loss = (x * w).sum()
        loss.backward()
    events = prof.events()
    forward = only(events, "forward")
    assert names(forward.cpu_children) == ["mul", "sum"]
    assert forward.is_user_annotation
    assert only(events, "mul").input_shapes == [[3, 4], [3, 4]]
    assert only(events, "mul").bytes_moved == 3 * 48
    order = names(events)
    assert order.index("SumBackward0") < order.index("MulBackward0") < order.index("AccumulateGrad")
    assert only(events, "MulBackward0").cpu_parent is None
    assert only(events, "MulBackward0").scope == 1
    assert all(e.cpu_parent is None or e in e.cpu_parent.cpu_children for e in events)


def test_what_an_op_calls_counts_to_its_total_and_not_to_its_own() -> None:
    slept = {"inner": 0.0, "outer": 0.0}  # microseconds, by a clock of our own: a busy machine oversleeps

    def nap(who: str, seconds: float) -> None:
        begin = time.perf_counter()
        time.sleep(seconds)
        slept[who] += 1e6 * (time.perf_counter() - begin)

    @op.op(name="inner_nap")
    def inner(x: Any) -> Any:
        nap("inner", 0.03)
        return x

    @op.op(name="outer_nap")
    def outer(x: Any) -> Any:
        nap("outer", 0.02)
        return inner(x)

    outer(gpugrad.ones(1))
    slept.update(inner=0.0, outer=0.0)
    with profile(activities=CPU) as prof:
        outer(gpugrad.ones(1))
        outer(gpugrad.ones(1))
    rows = prof.key_averages()
    total, own = only(rows, "outer_nap"), only(rows, "inner_nap")
    assert (total.count, own.count) == (2, 2)
    assert own.cpu_time_total == pytest.approx(slept["inner"], rel=0.1)
    assert total.self_cpu_time_total == pytest.approx(slept["outer"], rel=0.1)
    assert total.cpu_time_total == pytest.approx(sum(slept.values()), rel=0.1)
    assert own.cpu_time == own.cpu_time_total / 2
    assert rows.self_cpu_time_total >= total.cpu_time_total


def test_an_op_whose_first_call_is_profiled_keeps_its_rules() -> None:
    @op.op(name="fresh_square")
    def square(x: Any) -> Any:
        return x * x

    square.op.defvjp(x=lambda g, x: 2 * g * x)
    x = gpugrad.tensor([3.0], requires_grad=True)
    with profile(activities=CPU) as prof:
        square(x).backward()
    assert "FreshSquareBackward0" in names(prof.events())
    square(x).backward()
    assert x.grad.tolist() == [12]


def test_a_formula_of_the_users_and_gradients_of_gradients() -> None:
    @gpugrad.elementwise
    def cube(x: Any) -> Any:
        return x * x * x

    x = gpugrad.tensor([2.0], requires_grad=True)
    with profile(activities=CPU) as prof:
        (first,) = gpugrad.autograd.grad(cube(x).sum(), x, create_graph=True)
        first.backward()
    assert names(only(prof.events(), "CubeBackward0").cpu_children).count("mul") >= 2
    assert "MulBackward0" in names(prof.events())  # the gradient of the gradient is one of the ops in the rule
    assert x.grad.tolist() == [12]


def test_a_function_of_the_users() -> None:
    class Double(gpugrad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    with profile(activities=CPU) as prof:
        Double.apply(gpugrad.ones(2, requires_grad=True)).sum().backward()
    assert names(only(prof.events(), "Double").cpu_children) == ["mul"]
    assert names(only(prof.events(), "DoubleBackward").cpu_children) == ["mul"]


def test_what_is_no_array_has_no_shape() -> None:
    class Config:
        shape = strides = None

    class Scaled(gpugrad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, config: Config, pair: Any) -> Any:
            return x * pair[0]

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g, None, None

    with profile(activities=CPU, record_shapes=True) as prof:
        Scaled.apply(gpugrad.ones(2, requires_grad=True), Config(), (gpugrad.ones(2), 3))
    assert only(prof.events(), "Scaled").input_shapes == [[2], [], [[2], []]]


def test_modules_and_optimizers_are_ranges() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with profile(activities=CPU, with_modules=True) as prof:
        model(gpugrad.ones(2, 4)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    events = prof.events()
    inside = only(events, "nn.Module: Sequential").cpu_children
    assert names(inside) == ["nn.Module: Linear", "nn.Module: ReLU"]
    assert names(inside[0].cpu_children) == ["linear"]
    assert names(only(events, "Optimizer.step#SGD.step").cpu_children) == ["sgd_update"]
    assert only(events, "Optimizer.zero_grad#SGD.zero_grad").cpu_time > 0


def test_writing_in_place_without_recording_is_seen() -> None:
    x = gpugrad.ones(5)
    with profile(activities=CPU) as prof, gpugrad.no_grad():
        x.exp_()
        x.add_(1)
    assert names(prof.events()) == ["exp", "add"]


def test_operations_and_lines_of_code() -> None:
    x = gpugrad.ones(4, 5)
    with profile(activities=CPU, with_flops=True, with_stack=True) as prof:
        x @ gpugrad.ones(5, 6)
        nn.functional.conv2d(gpugrad.ones(1, 2, 5, 5), gpugrad.ones(3, 2, 3, 3))
    rows = prof.key_averages(group_by_stack_n=1)
    assert only(rows, "mm").flops == 2 * 4 * 5 * 6
    assert only(rows, "convolution").flops == 2 * (3 * 3 * 3) * (2 * 3 * 3)
    assert "test_operations_and_lines_of_code" in only(rows, "mm").stack[0]
    assert "Source Location" in rows.table()
    assert "MFLOPs" in rows.table()


def test_stacks_for_a_flame_graph(tmp_path: Any) -> None:
    with profile(activities=CPU, with_stack=True) as prof:
        gpugrad.ones(200, 200) @ gpugrad.ones(200, 200)
    prof.export_stacks(str(tmp_path / "stacks"))
    line = (tmp_path / "stacks").read_text().splitlines()[-1]
    assert "test_stacks_for_a_flame_graph" in line.split(" ")[0].split(";")[-1]
    assert int(line.split(" ")[1]) > 0
    with pytest.raises(ValueError, match="metric should be one of"):
        prof.export_stacks(str(tmp_path / "stacks"), "count")


def test_threads_have_calls_of_their_own() -> None:
    def work() -> None:
        with record_function("in a thread"):
            for _ in range(20):
                (gpugrad.ones(3, requires_grad=True) * 2).sum().backward()

    with profile(activities=CPU) as prof, record_function("main"):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = prof.events()
    assert len({e.thread for e in events}) == 4
    assert all(e.cpu_parent.thread == e.thread for e in events if e.cpu_parent is not None)
    assert only(prof.key_averages(), "MulBackward0").count == 60


# ---- ranges ----


def test_a_range_as_a_decorator_may_call_itself() -> None:
    @record_function("countdown")
    def count_down(n: int) -> int:
        return n if n == 0 else count_down(n - 1)

    assert count_down.__name__ == "count_down"
    with profile(activities=CPU) as prof:
        assert count_down(3) == 0
    assert names(prof.events()) == ["countdown"] * 4
    assert prof.events()[3].cpu_parent is prof.events()[2]


def test_ranges_that_end_in_the_wrong_order_still_nest() -> None:
    a, b = record_function("a"), record_function("b")
    with profile(activities=CPU) as prof:
        a.__enter__()
        b.__enter__()
        a.__exit__()
        gpugrad.ones(1) + 1
        b.__exit__()
    first, second, *rest = prof.events()
    assert second.cpu_parent is first
    assert second.end_ns == first.end_ns
    assert all(e.cpu_parent is None for e in rest)


def test_a_range_that_another_thread_ends_is_over() -> None:
    with profile(activities=CPU) as prof, record_function("around"):
        given = record_function("given away")
        given.__enter__()
        thread = threading.Thread(target=given.__exit__)
        thread.start()
        thread.join()
        gpugrad.ones(1)
    assert names(only(prof.events(), "around").cpu_children) == ["given away", "ones"]


def test_a_call_is_never_longer_than_the_one_around_it() -> None:
    given, inner = record_function("given away"), record_function("inner")
    with profile(activities=CPU) as prof:
        given.__enter__()
        inner.__enter__()
        thread = threading.Thread(target=given.__exit__)
        thread.start()
        thread.join()
        inner.__exit__()
    outer, inside = prof.events()
    assert inside.cpu_parent is outer
    assert outer.end_ns == inside.end_ns


def test_a_range_outside_a_profile_does_nothing_and_one_that_outlives_it_ends_with_it() -> None:
    with record_function("before"):
        prof = profile(activities=CPU)
        prof.start()
    outlives = record_function("outlives")
    outlives.__enter__()
    prof.stop()
    outlives.__exit__()
    assert names(prof.events()) == ["outlives"]
    assert prof.events()[0].cpu_time > 0


def test_names_that_are_no_text_are_refused() -> None:
    with pytest.raises(TypeError, match="name must be a str, not int"):
        record_function(3)  # type: ignore[arg-type]


# ---- errors ----


def test_an_exception_inside_leaves_nothing_in_place() -> None:
    before = held()
    prof = profile(activities=CPU, profile_memory=True, with_modules=True)
    with pytest.raises(ZeroDivisionError), prof, record_function("inside"):
        gpugrad.ones(2) + 1
        raise ZeroDivisionError
    assert held() == before
    assert names(only(prof.events(), "inside").cpu_children) == ["ones", "add"]


def test_a_call_that_raises_is_an_event_and_what_follows_is_not_inside_it() -> None:
    with profile(activities=CPU) as prof:
        with pytest.raises(RuntimeError, match="must match the size"):
            gpugrad.ones(2) + gpugrad.ones(3)
        gpugrad.ones(2) * 2
    assert only(prof.events(), "add").end_ns > 0
    assert only(prof.events(), "mul").cpu_parent is None


def test_a_start_that_fails_leaves_nothing_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.profiler import doors

    before = held()

    def fail(*given: Any) -> Any:
        raise OSError("on the way")

    with monkeypatch.context() as patch:
        patch.setattr(doors, "_timed_store", fail)
        with pytest.raises(OSError, match="on the way"), profile(activities=CPU, profile_memory=True):
            raise AssertionError("it has begun")
    assert held() == before


def test_profiles_do_not_nest() -> None:
    with profile(activities=CPU) as outer:
        with pytest.raises(RuntimeError, match="Profiler is already enabled"):
            profile(activities=CPU).start()
        gpugrad.ones(1)
    assert names(outer.events()) == ["ones"]


@pytest.mark.parametrize("library", ["gpugrad", "torch"])
def test_what_cannot_be_profiled_is_refused(library: str, request: pytest.FixtureRequest) -> None:
    p = (gpugrad if library == "gpugrad" else request.getfixturevalue("torch")).profiler
    with pytest.raises(AssertionError, match="No valid profiler activities found"):
        p.profile(activities=[])
    fresh = p.profile(activities=[p.ProfilerActivity.CPU])
    with pytest.raises(AssertionError, match="Profiler must be initialized before stopping"):
        fresh.stop()
    with pytest.raises(AssertionError, match="Profiler must be initialized before"):
        fresh.key_averages()


def test_activities_that_are_none_are_refused() -> None:
    with pytest.raises(TypeError, match=r"expected ProfilerActivity\.CPU or \.CUDA, got 'cpu'"):
        profile(activities=["cpu"])  # type: ignore[list-item]


def test_without_a_device_its_activity_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import backend

    monkeypatch.setattr(backend, "device_count", lambda: 0)
    with pytest.warns(UserWarning, match="CUDA is not available, disabling CUDA profiling"):
        prof = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
    with prof:
        gpugrad.ones(1)
    assert "CUDA" not in prof.key_averages().table(sort_by="cuda_time_total")


# ---- the table ----


def test_a_table_is_sorted_cut_and_headed() -> None:
    with profile(activities=CPU, record_shapes=True) as prof:
        x = gpugrad.ones(300, 300)
        for _ in range(3):
            x @ x
        x.exp()
    rows = prof.key_averages()
    table = rows.table(sort_by="count", row_limit=1, header="the header")
    assert "the header" in table
    assert " mm" in table
    assert " exp" not in table
    assert table.rstrip().splitlines()[-1].startswith("Self CPU time total: ")
    assert rows.table(sort_by="bytes_moved").index(" mm") < rows.table(sort_by="bytes_moved").index(" exp")
    assert "1.05 MB" not in table
    assert f"{9 * 360_000 / 2**20:.2f} MB" in table
    assert "[[300, 300], [300, 300]]" in prof.key_averages(group_by_input_shape=True).table()
    assert "[[300" not in table
    assert all(len(line) == len(table.splitlines()[2]) for line in table.splitlines()[2:6])
    assert "s" not in set(rows.table(time_unit="ms").splitlines()[3].split()[2][-2:-1])
    with pytest.raises(AttributeError, match="nonsense"):
        rows.table(sort_by="nonsense")
    with pytest.raises(ValueError, match="time_unit must be one of s, ms, us"):
        rows.table(time_unit="minutes")


def test_rows_by_shape_and_the_sum_of_all() -> None:
    with profile(activities=CPU, record_shapes=True) as prof:
        for n in (2, 3, 3):
            gpugrad.ones(n) + 1
    by_shape = prof.key_averages(group_by_input_shape=True)
    assert {str(r.input_shapes): r.count for r in by_shape if r.key == "add"} == {"[[2], []]": 1, "[[3], []]": 2}
    total = prof.events().total_average()
    assert (total.key, total.count) == ("Total", 6)
    assert total.self_cpu_time_total == pytest.approx(prof.events().self_cpu_time_total)
    assert EventList().table() == ""


def test_only_what_nothing_is_around() -> None:
    with profile(activities=CPU) as prof, record_function("outer"):
        gpugrad.ones(1)
    table = prof.events().table(top_level_events_only=True)
    assert "outer" in table
    assert "ones" not in table


# ---- beside PyTorch ----


def a_program(torch: Any) -> Any:
    """What a user would write, under either import."""
    from_profiler = torch.profiler
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with from_profiler.profile(activities=[from_profiler.ProfilerActivity.CPU], record_shapes=True) as prof:
        for _ in range(2):
            with from_profiler.record_function("forward"):
                y = model(torch.ones(3, 8))
                loss = (y * y).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return prof


def plain(name: str) -> str:
    return name.removeprefix("aten::").removeprefix("torch::autograd::")


def test_the_same_program_has_the_same_rows(torch: Any) -> None:
    ours, theirs = ({plain(row.key): row for row in a_program(library).key_averages()} for library in (gpugrad, torch))
    both = ["forward", "tanh", "mul", "sum", "linear", "TanhBackward0", "MulBackward0", "SumBackward0"]
    both += ["AccumulateGrad"]
    both += ["Optimizer.step#SGD.step", "Optimizer.zero_grad#SGD.zero_grad"]
    for name in both:
        assert ours[name].is_user_annotation == theirs[name].is_user_annotation, name
        assert ours[name].scope == theirs[name].scope or name == "AccumulateGrad", name
        if name not in ("mul", "sum"):  # the rules of the two libraries take different steps
            assert ours[name].count == theirs[name].count, name
    assert ours["forward"].cpu_time_total >= ours["tanh"].cpu_time_total > 0


def test_tables_have_the_same_columns(torch: Any) -> None:
    ours, theirs = (
        a_program(library).key_averages(group_by_input_shape=True).table(sort_by="self_cpu_time_total", row_limit=5)
        for library in (gpugrad, torch)
    )
    headings = [[h for h in t.splitlines()[1].split("  ") if h] for t in (ours, theirs)]
    assert [h.strip() for h in headings[0] if h.strip() != "Bytes moved"] == [h.strip() for h in headings[1]]
    assert ours.splitlines()[-1].startswith("Self CPU time total: ")


def test_events_and_rows_have_pytorchs_attributes(torch: Any) -> None:
    of_each = {}
    for library in (gpugrad, torch):
        prof = a_program(library)
        of_each[library] = [prof, prof.events(), prof.events()[0], prof.key_averages()[0]]
    used = (
        "start stop step events key_averages export_chrome_trace export_stacks add_metadata add_metadata_json step_num",
        "table key_averages total_average export_chrome_trace export_stacks self_cpu_time_total",
        "name key count cpu_time device_time cpu_time_total self_cpu_time_total device_time_total cpu_parent cpu_children "
        "self_device_time_total cpu_memory_usage self_cpu_memory_usage device_memory_usage self_device_memory_usage "
        "input_shapes time_range thread id device_type is_user_annotation stack scope is_async is_remote node_id flops",
        "key count cpu_time device_time cpu_time_total self_cpu_time_total device_time_total self_device_time_total "
        "cpu_memory_usage self_cpu_memory_usage device_memory_usage self_device_memory_usage input_shapes stack flops",
    )
    for ours, theirs, names_used in zip(of_each[gpugrad], of_each[torch], used, strict=True):
        for name in names_used.split():
            assert hasattr(theirs, name), name
            assert hasattr(ours, name), name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs are deprecated
        for library in (gpugrad, torch):
            assert of_each[library][2].cuda_time_total == 0
    event = of_each[gpugrad][2]
    assert isinstance(event, FunctionEvent)
    assert event.time_range.elapsed_us() == pytest.approx(event.cpu_time_total)
