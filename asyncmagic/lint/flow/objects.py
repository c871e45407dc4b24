"""Look at live objects without running any of their code: no property, no `__getattr__`, no `repr`."""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import functools
import inspect
import sys
import types
from collections.abc import Mapping
from typing import Any, Final, TypeGuard, TypeVar

MISSING: Final = object()
#: The code of all functions that `asynccontextmanager` and `contextmanager` return.
_MANAGER_MAKERS: Final = {
    contextlib.asynccontextmanager(lambda: None).__code__: True,  # type: ignore[arg-type, return-value]
    contextlib.contextmanager(lambda: None).__code__: False,  # type: ignore[arg-type, return-value]
}
_T = TypeVar("_T")
_type_dict = type.__dict__["__dict__"].__get__
_type_mro = type.__dict__["__mro__"].__get__
_type_qualname = type.__dict__["__qualname__"].__get__
_type_module: Any = vars(type)["__module__"].__get__
_module_dict: Any = vars(types.ModuleType)["__dict__"].__get__
BUILTIN_FUNCTIONS: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
)


def is_a(obj: object, cls: type[_T] | tuple[type[_T], ...]) -> TypeGuard[_T]:
    """`isinstance` that asks the object's real type: `__class__` may be a property."""
    return issubclass(type(obj), cls)


def namespace_get(namespace: Mapping[str, object], name: str) -> object:
    """The object of that name, or MISSING; a namespace that raises has nothing."""
    if isinstance(namespace, dict):
        return dict.get(namespace, name, MISSING)
    try:
        return namespace.get(name, MISSING)
    except Exception:
        return MISSING


def mro(cls: type) -> tuple[type, ...]:
    return _type_mro(cls)  # type: ignore[no-any-return]


def class_dict(cls: type) -> Mapping[str, object]:
    return _type_dict(cls)  # type: ignore[no-any-return]


def class_lookup(cls: type, name: str) -> object:
    """The class attribute as it stands in a class body of the `cls` hierarchy, or MISSING."""
    for base in mro(cls):
        found = class_dict(base).get(name, MISSING)
        if found is not MISSING:
            return found
    return MISSING


def instance_dict(obj: object) -> dict[str, object]:
    """The object's own attributes; empty where reading them could run code."""
    if is_a(obj, types.ModuleType):
        return _module_dict(obj)  # type: ignore[no-any-return]
    descriptor = class_lookup(type(obj), "__dict__")
    if not is_a(descriptor, types.GetSetDescriptorType):
        return {}
    try:
        found = descriptor.__get__(obj)
    except Exception:
        return {}
    return found if type(found) is dict else {}


def is_builtin_function(obj: object) -> bool:
    """Whether the object is a function or method written in C."""
    return any(type(obj) is kind for kind in BUILTIN_FUNCTIONS)


def is_class(obj: object) -> bool:
    return issubclass(type(obj), type)


def has_method(cls: type, name: str) -> bool:
    """Whether instances answer to a special method."""
    found = class_lookup(cls, name)
    return found is not MISSING and found is not None


def answers_everything(cls: type) -> bool:
    """Whether attributes of instances are beyond what the class says."""
    hook = class_lookup(cls, "__getattribute__")
    return hook is not MISSING and hook is not object.__getattribute__ and is_a(hook, types.FunctionType)


def slot_value(descriptor: object, obj: object) -> object:
    """The value of a C-level slot, which is safe to read, or MISSING."""
    if not (is_a(descriptor, types.MemberDescriptorType) or is_a(descriptor, types.GetSetDescriptorType)):
        return MISSING
    try:
        return descriptor.__get__(obj)
    except Exception:
        return MISSING


def is_data_descriptor(obj: object) -> bool:
    return has_method(type(obj), "__set__") or has_method(type(obj), "__delete__")


def is_descriptor(obj: object) -> bool:
    return has_method(type(obj), "__get__")


def qualified_name(obj: object) -> str:
    """`module.qualname` of a function, method or class, read from C-level slots; empty for other objects."""
    if is_a(obj, types.MethodType):
        return qualified_name(obj.__func__)
    if type(obj) is types.FunctionType:
        return f"{obj.__module__}.{obj.__qualname__}"
    if type(obj) is types.BuiltinFunctionType:
        owner = obj.__self__
        if is_a(owner, types.ModuleType) or owner is None:
            return f"{obj.__module__}.{obj.__qualname__}"
        return qualified_name(owner if is_class(owner) else type(owner)) + "." + obj.__name__
    if is_builtin_function(obj):
        return qualified_name(getattr(obj, "__objclass__", None)) + "." + getattr(obj, "__name__", "")
    if is_class(obj):
        module = _type_module(obj)
        return f"{module}.{_type_qualname(obj)}" if type(module) is str else ""
    return ""


def unwrap_partial(obj: object) -> object:
    """The function inside nested `functools.partial` objects."""
    for _ in range(8):
        if not issubclass(type(obj), functools.partial):
            break
        obj = functools.partial.func.__get__(obj)
    return obj


def code_flags(obj: object) -> int:
    """The code flags of a Python function, 0 for anything else."""
    return obj.__code__.co_flags if type(obj) is types.FunctionType else 0


def is_coroutine_function(obj: object) -> bool:
    """Whether calling this function object, as it is, gives a coroutine."""
    flags = code_flags(obj)
    if flags & (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE):
        return True
    if not flags:
        return False
    mark = instance_dict(obj).get("_is_coroutine_mark", MISSING)
    return mark is not MISSING and mark is getattr(inspect, "_is_coroutine_mark", None)


def is_async_generator_function(obj: object) -> bool:
    return bool(code_flags(obj) & inspect.CO_ASYNC_GENERATOR)


def is_generator_function(obj: object) -> bool:
    return bool(code_flags(obj) & inspect.CO_GENERATOR)


def makes_managers(obj: object) -> bool | None:
    """Whether calling the function gives an asynchronous (or a plain) manager; None if it is not of `contextlib`."""
    return _MANAGER_MAKERS.get(obj.__code__) if type(obj) is types.FunctionType else None


def is_mock(obj: object) -> bool:
    mock = sys.modules.get("unittest.mock")
    return mock is not None and issubclass(type(obj), mock.NonCallableMock)


def is_async_mock(obj: object) -> bool:
    return is_async_mock_class(type(obj))


def cell_content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def builtin(name: str) -> object:
    return builtins.__dict__.get(name, MISSING)


def loaded_subclasses(cls: type, limit: int = 200) -> list[type]:
    """The subclasses of the class that exist now, the class first; at most about `limit`."""
    found, todo = [cls], [cls]
    while todo and len(found) < limit:
        try:
            children: list[type] = type.__subclasses__(todo.pop())
        except Exception:
            break
        found += children
        todo += children
    return found


def field_names(cls: type) -> list[str] | None:
    """The fields of a dataclass, named tuple or Pydantic model in the order of its arguments, else None."""
    fields = class_lookup(cls, "__dataclass_fields__")
    if type(fields) is dict and all(type(field) is dataclasses.Field for field in fields.values()):
        return [name for name, field in fields.items() if field.init and not field.kw_only]
    names = class_lookup(cls, "_fields")
    if issubclass(cls, tuple) and type(names) is tuple:
        return [name for name in names if type(name) is str]
    return [] if class_lookup(cls, "__pydantic_fields__") is not MISSING else None


def plain_items(obj: Any) -> list[object] | None:
    """The first elements of an exact builtin container (the values of a dict), else None."""
    for kind in (list, tuple, set, frozenset):
        if type(obj) is kind:
            found: list[object] = []
            for item in obj:
                found.append(item)
                if len(found) == 12:
                    break
            return found
    if type(obj) is dict:
        return [obj[key] for key in list(obj)[:12]] if all(type(key) is str for key in list(obj)[:12]) else []
    return None


def is_async_mock_class(cls: type) -> bool:
    mock = sys.modules.get("unittest.mock")
    return mock is not None and issubclass(cls, mock.AsyncMock)
