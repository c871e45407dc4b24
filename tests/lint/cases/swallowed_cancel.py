# %% setup
import asyncio, contextlib, logging
async def step(): await asyncio.sleep(0)
# %%
async def f():
    try:
        await step()
    except:  # expect: swallowed-cancel
        pass
# %%
async def f():
    while True:
        try:
            await step()
        except asyncio.CancelledError:  # expect: swallowed-cancel
            continue
# %%
async def f():
    try:
        await step()
    except (ValueError, BaseException) as e:  # expect: swallowed-cancel
        logging.error(e)
# %%
async def f():
    try:
        await step()
    finally:
        return 1  # expect: swallowed-cancel
# %%
async def f():
    with contextlib.suppress(asyncio.CancelledError):  # expect: swallowed-cancel
        await step()
# %%
from asyncio import CancelledError
async def f():
    try:
        async with asyncio.timeout(1):
            await step()
    except CancelledError:  # expect: swallowed-cancel
        return None
# %%
async def f():
    try:
        async for x in y:
            pass
    except BaseException:  # expect: swallowed-cancel
        print("x")
# %% ok
async def f():
    try:
        await step()
    except asyncio.CancelledError:
        print("cleanup")
        raise
# %% ok
async def f():
    try:
        await step()
    except Exception:
        pass
# %% ok
async def f():
    try:
        await step()
    except asyncio.CancelledError:
        raise
    except BaseException:
        pass
# %% ok
def f():
    try:
        pass
    except:
        pass
# %% ok
async def f():
    t = asyncio.create_task(step())
    t.cancel()
    try:
        await t
    except asyncio.CancelledError:
        pass
# %% ok
async def f(tasks):
    for t in tasks:
        t.cancel()
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        pass
# %% ok
async def f():
    try:
        x = 1
    except:
        pass
    await step()
# %% ok
async def f():
    try:
        await step()
    except BaseException as e:
        if isinstance(e, ValueError):
            return
        raise
# %% ok
async def f():
    with contextlib.suppress(ValueError):
        await step()
# %% ok
async def f():
    t = asyncio.create_task(step())
    t.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await t
# %% ok
async def f():
    try:
        await step()
    finally:
        print("x")
# %% setup everyday
# %%
async def safe(q):
    try:
        return await ask(q)
    except:  # expect: swallowed-cancel
        return None
# %%
async def loop():
    while True:
        try:
            await ask("x")
        except BaseException as e:  # expect: swallowed-cancel
            print(e)
# %% ok
async def f():
    try:
        await ask("x")
    except BaseException:
        print("bye")
        raise
# %% ok
async def f():
    try:
        await ask("x")
    except asyncio.CancelledError:
        print("bye")
        raise
    except Exception:
        pass
# %%
async def worker():
    while True:
        try:
            await asyncio.sleep(1)
        except (asyncio.CancelledError, ValueError):  # expect: swallowed-cancel
            continue
# %% ok
async def f():
    try:
        x = json.loads("x")
    except:
        x = None
    return await ask(str(x))
# %% ok
async def f():
    try:
        await ask("x")
    except asyncio.CancelledError:
        raise
    except:
        return None
# %% ok
async def f():
    try:
        await ask("x")
    except Exception:
        return None
# %% ok
async def stop(t):
    t.cancel()
    try:
        await t
    except asyncio.CancelledError:
        pass
# %%
async def f():
    try:
        await ask("x")
    finally:
        return 1  # expect: swallowed-cancel
# %%
import contextlib
async def f():
    with contextlib.suppress(asyncio.CancelledError):  # expect: swallowed-cancel
        await asyncio.sleep(10)
    print("still here")
# %% setup
import asyncio, contextlib, concurrent.futures, anyio
from concurrent.futures import CancelledError as PoolCancelled
QUIET = (ValueError, asyncio.CancelledError)
NARROW = (ValueError, KeyError)
async def step(): await asyncio.sleep(0)
# %% ok
async def f():
    try:
        await step()
    except PoolCancelled:
        return None
# %% ok
async def f():
    try:
        await step()
    except (concurrent.futures.CancelledError, ValueError):
        return None
# %%
async def f():
    try:
        await step()
    except QUIET:  # expect: swallowed-cancel
        return None
# %% ok
async def f():
    try:
        await step()
    except NARROW:
        return None
# %%
Stop = asyncio.CancelledError
async def f():
    while True:
        try:
            await step()
        except Stop:  # expect: swallowed-cancel
            print("no")
# %%
async def f():
    try:
        await step()
    except (ValueError, anyio.get_cancelled_exc_class()):  # expect: swallowed-cancel
        return 0
# %% ok
async def f():
    try:
        await step()
    except anyio.get_cancelled_exc_class():
        print("bye")
        raise
# %%
async def f():
    try:
        await step()
    except BaseException as e:  # expect: swallowed-cancel
        if not isinstance(e, (ValueError, KeyError)):
            print("strange")
        else:
            raise
# %%
async def f():
    try:
        await step()
    except BaseException as e:  # expect: swallowed-cancel
        if type(e) is KeyboardInterrupt:
            raise
# %% ok
async def f():
    try:
        await step()
    except BaseException as e:
        if isinstance(e, (asyncio.CancelledError, KeyboardInterrupt)):
            raise
        return None
# %% ok
async def f():
    try:
        await step()
    except BaseException as e:
        if isinstance(e, NARROW):
            raise
        return None
# %% ok
async def f():
    try:
        await step()
    except BaseException as e:
        if isinstance(e, Exception):
            return None
        raise
# %%
async def f(tries=3):
    for n in range(tries):
        try:
            return await step()
        except BaseException:  # expect: swallowed-cancel
            if n == tries - 1:
                raise
# %% ok
async def f(tries=3):
    for n in range(tries):
        try:
            return await step()
        except BaseException as e:
            if n == tries - 1 or isinstance(e, asyncio.CancelledError):
                raise
# %% ok
async def f(self):
    try:
        await step()
    except asyncio.CancelledError:
        if not self.closing:
            raise
# %% ok
async def f():
    try:
        await step()
    except asyncio.CancelledError:
        asyncio.current_task().cancel()
# %%
async def f():
    try:
        await step()
    except* asyncio.CancelledError:  # expect: swallowed-cancel
        pass
# %%
async def f():
    while True:
        try:
            await step()
        finally:
            break  # expect: swallowed-cancel
# %% ok
async def f():
    try:
        await step()
    finally:
        for n in range(3):
            if n: break
# %%
class Quiet:
    async def __aenter__(self): return self
    async def __aexit__(self, *exc):
        await step()
        return True  # expect: swallowed-cancel
# %% ok
class Quiet:
    async def __aenter__(self): return self
    async def __aexit__(self, kind, exc, tb):
        if kind is None or not issubclass(kind, ValueError):
            return False
        return True
# %%
@contextlib.asynccontextmanager
async def session():
    try:
        yield 1
    except BaseException:  # expect: swallowed-cancel
        print("closed")
# %% ok
class Ticker:
    def stop(self):
        self.task.cancel()
    async def join(self):
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
# %% ok
async def outcome(task):
    try:
        return await task
    except asyncio.CancelledError:
        return "cancelled"
# %%
async def outcome(task):
    try:
        return await task
    except BaseException as e:  # expect: swallowed-cancel
        return e
