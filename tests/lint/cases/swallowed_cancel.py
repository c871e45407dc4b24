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
