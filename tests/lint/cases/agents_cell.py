# %% setup
import asyncio
async def ask(q):
    return q
# %%
%%agents
x = ask("a")
print(x)  # expect: missing-await
# %% ok
%%agents
x = ask("a")
y = ask("b")
# %%
%%agents
x = ask("a")
print(f"{x}")  # expect: missing-await
# %%
%%agents
x = ask("a")
if x:  # expect: missing-await
    print("y")
# %%
%%agents
x = ask("a")
for i in range(x):  # expect: missing-await
    print("y")
# %% ok
%%agents
x = ask("a")
y = ask(x)
print(await x)
# %%
%%agents
x = ask("a")
y = ask(f"about {x}")  # expect: missing-await
# %%
%%agents
x = ask("a")
print((await x).upper())
y = x.upper()  # expect: missing-await
# %%
%%agents
xs = [ask(q) for q in "abc"]
print(xs[0] + "b")  # expect: missing-await
# %%
%%agents
print(ask("a"))  # expect: missing-await
# %%
%%agents
xs = [ask(q) for q in "abc"]
print(xs)  # expect: missing-await
