"""`State` as compiled code sees it: one address.

A bundle of twenty arrays is about 140 machine words, and compiled functions pass such a bundle by value: ten times
slower than the work they do. Here the arrays' descriptors lie in one block of memory, compiled functions hand on its
address, and `s.visits` loads what it needs from the block. Nothing is reference-counted: whoever enters compiled
code keeps the arrays and the block alive meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model
from numpy.typing import NDArray

from simulation.kernel import tables
from simulation.kernel.tables import State

_WORD = 8


class StatePointer(types.Type):
    def __init__(self) -> None:
        super().__init__(name="KernelState")


state_pointer = StatePointer()
register_model(StatePointer)(models.OpaqueModel)


def _array(dtype: Any, dimensions: int = 1) -> types.Array:
    return types.Array(numba.from_dtype(np.dtype(dtype)), dimensions, "C")


_FIELDS: dict[str, types.Array] = {
    "clock": _array(tables.CLOCK),
    "visits": _array(tables.VISIT),
    "heap": _array(tables.EVENT),
    "lanes": _array(tables.LANE),
    "pods": _array(tables.POD),
    "services": _array(tables.SERVICE),
    "operations": _array(tables.OPERATION),
    "edges": _array(tables.EDGE),
    "classes": _array(tables.CLASS),
    "probes": _array(tables.PROBE_STATE),
    "endpoints": _array(np.int32, 2),
    "endpoint_weights": _array(np.float64, 2),
    "zone_cut": _array(np.int8),
    "arrivals": _array(tables.ARRIVAL),
    "orders": _array(tables.ORDER),
    "commits": _array(tables.COMMIT),
    "client_bins": _array(tables.CLIENT_BIN, 2),
    "client_latency": _array(np.uint32, 2),
    "service_bins": _array(tables.SERVICE_BIN, 2),
    "service_latency": _array(np.uint32, 3),
    "pod_latency": _array(np.int64, 2),
}


def _descriptor_words(field: types.Array) -> int:
    """numba's array struct: meminfo, parent, items, item size, data, then shape and strides per dimension."""
    return 5 + 2 * int(field.ndim)


_OFFSETS: dict[str, int] = {}
for _name in State._fields:
    _OFFSETS[_name] = sum(_descriptor_words(_FIELDS[before]) for before in _OFFSETS)


def described(state: State) -> NDArray[np.int64]:
    """The block whose address `state_at` takes. It is valid while the state's arrays live."""
    words: list[int] = []
    arrays: dict[str, NDArray[Any]] = state._asdict()
    for name, array in arrays.items():
        if numba.from_dtype(array.dtype) != _FIELDS[name].dtype or not array.flags.c_contiguous:
            raise TypeError(f"{name} is not an array that the kernel was compiled for")
        words += [0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides]
    return np.array(words, np.int64)


def _state_at(typing_context: Any, address: Any) -> Any:
    """The state described by the block at this address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(state_pointer))

    return state_pointer(types.int64), generate


state_at: Callable[[int], State] = cast(Any, intrinsic(_state_at))


@infer_getattr
class _StateAttributes(AttributeTemplate):
    key = StatePointer

    def generic_resolve(self, state: Any, name: str) -> Any:  # type: ignore[override]
        return _FIELDS.get(name)


@lower_getattr_generic(StatePointer)  # type: ignore[no-untyped-call]
def _load_field(context: Any, builder: Any, state: Any, address: Any, name: str) -> Any:
    offset = ir.Constant(ir.IntType(64), _OFFSETS[name] * _WORD)
    struct = context.get_value_type(_FIELDS[name])
    place = builder.gep(builder.bitcast(address, ir.IntType(8).as_pointer()), [offset])
    return builder.load(builder.bitcast(place, struct.as_pointer()))
