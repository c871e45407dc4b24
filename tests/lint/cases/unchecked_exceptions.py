# %% setup
import asyncio
async def may_fail(i):
    if i == 1: raise ValueError(i)
    return i
# %%
await asyncio.gather(*(may_fail(i) for i in range(3)), return_exceptions=True)  # expect: unchecked-exceptions
print("done")
# %%
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)  # expect: unchecked-exceptions
total = sum(rs)
# %%
async def main():
    rs = await asyncio.gather(may_fail(0), return_exceptions=True)  # expect: unchecked-exceptions
    return [r + 1 for r in rs]
await main()
# %%
a, b = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)  # expect: unchecked-exceptions
print(a + b)
# %%
ts = [asyncio.create_task(may_fail(i)) for i in range(3)]
done, pending = await asyncio.wait(ts)  # expect: unchecked-exceptions
print(len(done))
# %%
rs = await asyncio.gather(may_fail(0), return_exceptions=True)  # expect: unchecked-exceptions
for r in rs:
    print(r * 2)
# %% ok
rs = await asyncio.gather(may_fail(0), return_exceptions=True)
ok = [r for r in rs if not isinstance(r, Exception)]
# %% ok
rs = await asyncio.gather(may_fail(0), return_exceptions=True)
for r in rs:
    if isinstance(r, BaseException):
        print("bad")
# %% ok
rs = await asyncio.gather(may_fail(0))
print(rs)
# %% ok
async def main():
    return await asyncio.gather(may_fail(0), return_exceptions=True)
rs = await main()
# %% ok
ts = [asyncio.create_task(may_fail(i)) for i in range(3)]
done, pending = await asyncio.wait(ts)
for t in done:
    print(t.result())
# %% ok
ts = [asyncio.create_task(may_fail(i)) for i in range(3)]
await asyncio.wait(ts)
rs = await asyncio.gather(*ts)
# %% ok
rs = await asyncio.gather(may_fail(0), return_exceptions=True)
print(rs)
# %% setup everyday
# %%
await asyncio.gather(*map(ask, questions), return_exceptions=True)  # expect: unchecked-exceptions
print("done")
# %%
rs = await asyncio.gather(*map(score, questions), return_exceptions=True)  # expect: unchecked-exceptions
print(sum(rs))
# %% ok
rs = await asyncio.gather(*map(score, questions), return_exceptions=True)
good = [r for r in rs if not isinstance(r, BaseException)]
# %%
async def main():
    ts = [asyncio.create_task(ask(q)) for q in questions]
    done, pending = await asyncio.wait(ts, timeout=1)  # expect: unchecked-exceptions
    for p in pending:
        p.cancel()
    return "ok"
# %% ok
ts = [asyncio.create_task(ask(q)) for q in questions]
done, pending = await asyncio.wait(ts)
rs = [t.result() for t in done]
# %% ok
ts = [asyncio.create_task(ask(q)) for q in questions]
done, _ = await asyncio.wait(ts)
for t in done:
    if t.exception():
        print(t.exception())
# %%
rs = await asyncio.gather(*map(ask, questions), return_exceptions=True)  # expect: unchecked-exceptions
print([r.upper() for r in rs])
# %% ok
async def all_(qs):
    return await asyncio.gather(*map(ask, qs), return_exceptions=True)
# %% ok
rs = await asyncio.gather(*map(ask, questions), return_exceptions=True)
for r in rs:
    match r:
        case Exception():
            print("bad", r)
        case str():
            print(r)
# %% ok
results = await asyncio.gather(*map(ask, questions), return_exceptions=True)
# %% ok
t = asyncio.create_task(may_fail(0))
t.cancel()
await asyncio.wait([t])
print(t.cancelled())
# %% setup
import asyncio
async def may_fail(i):
    if i == 1: raise ValueError(i)
    return i
def mean(numbers):
    return sum(numbers) / len(numbers)
def good(numbers):
    return [n for n in numbers if not isinstance(n, Exception)]
def report(n):
    print("failed" if isinstance(n, BaseException) else n)
def double(n):
    return n * 2
# %%
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)  # expect: unchecked-exceptions
middle = mean(rs)
# %% ok
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)
middle = sum(good(rs))
# %% ok
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)
for r in rs:
    report(r)
# %%
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)  # expect: unchecked-exceptions
for r in rs:
    print(double(r))
# %% ok
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)
list(map(report, rs))
# %%
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)  # expect: unchecked-exceptions
two = list(map(double, rs))
# %%
class Team:
    def total(self, scale, parts):
        return scale * sum(p + 1 for p in parts)
    async def run(self):
        rs = await asyncio.gather(may_fail(0), return_exceptions=True)  # expect: unchecked-exceptions
        return self.total(2, parts=rs)
await Team().run()
# %% ok
def total(parts):
    checked = good(parts)
    return sum(checked)
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)
n = total(rs)
# %% setup everyday
# %%
import statistics
results = await asyncio.gather(*(ask(q) for q in "ab"), return_exceptions=True)  # expect: unchecked-exceptions
print(statistics.mean(results))
# %%
results = await asyncio.gather(*(ask(q) for q in "ab"), return_exceptions=True)  # expect: unchecked-exceptions
best = sorted(results)[0]
# %%
questions = ["a", "b"]
results = await asyncio.gather(*map(ask, questions), return_exceptions=True)  # expect: unchecked-exceptions
for question, result in zip(questions, results):
    print(question, result.title())
# %% ok
questions = ["a", "b"]
results = await asyncio.gather(*map(ask, questions), return_exceptions=True)
for question, result in zip(questions, results):
    print(question, result)
# %%
from collections import Counter
results = await asyncio.gather(*map(ask, "ab"), return_exceptions=True)  # expect: unchecked-exceptions
votes = Counter(results).most_common(1)
# %%
import numpy
results = await asyncio.gather(*map(ask, "ab"), return_exceptions=True)  # expect: unchecked-exceptions
table = numpy.vstack(results)
