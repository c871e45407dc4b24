# %% setup
import asyncio, json
from openai import AsyncOpenAI, OpenAI
client = AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:1/v1")
sync_client = OpenAI(api_key="k", base_url="http://127.0.0.1:1/v1")
MODEL = "m"
messages = [{"role": "user", "content": "hi"}]
# %%
async def chat(prompt):
    resp = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])  # expect: missing-await
    return resp.choices[0].message.content
print(await chat("hi"))
# %%
async def chat(prompt):
    resp = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": prompt}])
    return resp.choices[0].message.content
summary = chat("hi")  # expect: missing-await
print(summary.strip())
# %% ok
async def chat(prompt, *, system=None):
    msgs = [{"role": "user", "content": prompt}]
    if system:
        msgs.insert(0, {"role": "system", "content": system})
    resp = await client.chat.completions.create(model=MODEL, messages=msgs)
    return resp.choices[0].message.content
summary = await chat("hi")
print(summary.strip())
answers = await asyncio.gather(*(chat(p, system="be brief") for p in ["a", "b"]))
print([a.upper() for a in answers])
# %%
vecs = [client.embeddings.create(model="e", input=t).data[0].embedding for t in ["a", "b"]]  # expect: missing-await
# %% ok
async def embed(texts):
    r = await client.embeddings.create(model="e", input=texts)
    return [d.embedding for d in r.data]
vecs = await embed(["a"])
print(len(vecs[0]))
# %% ok
r = sync_client.chat.completions.create(model=MODEL, messages=messages)
print(r.choices[0].message.content)
# %%
async for chunk in client.chat.completions.create(model=MODEL, messages=messages, stream=True):  # expect: missing-await
    print(chunk.choices[0].delta.content or "", end="")
# %%
stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
for chunk in stream:  # expect: missing-async
    print(chunk)
# %%
out = {p: client.responses.create(model=MODEL, input=p).output_text for p in ("x", "y")}  # expect: missing-await
# %%
r = await client.chat.completions.create(model=MODEL, messages=messages)
client.close()  # expect: missing-await
# %% ok
r = sync_client.chat.completions.create(model=MODEL, messages=messages)
sync_client.close()
# %%
fast = client.with_options(timeout=5, max_retries=0)
reply = fast.chat.completions.create(model=MODEL, messages=messages)  # expect: missing-await
print(reply.usage.total_tokens)
# %%
while client.chat.completions.create(model=MODEL, messages=messages).choices[0].finish_reason == "tool_calls":  # expect: missing-await
    break
# %%
async def extract(text):
    r = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
    return r.choices[0].message.content
data = json.loads(extract("x"))  # expect: missing-await
# %%
r = await sync_client.chat.completions.create(model=MODEL, messages=messages)  # expect: await-non-awaitable
# %%
c = await client.chat.completions.create(model=MODEL, messages=messages).choices[0]  # expect: missing-await
# %%
async def chat(p):
    r = sync_client.chat.completions.create(model=MODEL, messages=messages)  # expect: blocking-call
    return r.choices[0].message.content
await asyncio.gather(chat("a"), chat("b"))
# %%
outs = []
for p in ["a", "b", "c"]:
    r = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": p}])  # expect: sequential-awaits
    outs.append(r.choices[0].message.content)
# %% setup
import asyncio
import anthropic
claude = anthropic.AsyncAnthropic(api_key="k", base_url="http://127.0.0.1:1")
# %%
msg = claude.messages.create(model="claude", max_tokens=10, messages=[{"role": "user", "content": "hi"}])  # expect: missing-await
print(msg.content[0].text)
# %% ok
async def turn(history):
    msg = await claude.messages.create(model="claude", max_tokens=10, messages=history)
    history.append({"role": "assistant", "content": msg.content[0].text})
    return msg.stop_reason
history = [{"role": "user", "content": "hi"}]
while (await turn(history)) != "end_turn":
    history.append({"role": "user", "content": "go on"})
print(history[-1]["content"])
# %% ok
async def show():
    async with claude.messages.stream(model="claude", max_tokens=10, messages=[{"role": "user", "content": "hi"}]) as s:
        async for text in s.text_stream:
            print(text, end="")
        final = await s.get_final_message()
    return final
# %%
async def show():
    async with claude.messages.stream(model="claude", max_tokens=10, messages=[{"role": "user", "content": "hi"}]) as s:
        final = s.get_final_message()  # expect: missing-await
    return final.content
# %%
n = claude.messages.count_tokens(model="claude", messages=[{"role": "user", "content": "hi"}])  # expect: missing-await
if n.input_tokens > 100:
    print("long")
# %%
cl = anthropic.Anthropic(api_key="k")
async def chat(p):
    return cl.messages.create(model="claude", max_tokens=5, messages=[{"role": "user", "content": p}])  # expect: blocking-call
# %% setup
import asyncio, json
import httpx
http = httpx.AsyncClient(base_url="http://web.test")
sync_http = httpx.Client(base_url="http://web.test")
urls = ["/a", "/b", "/c"]
# %%
resp = http.get("/a")  # expect: missing-await
resp.raise_for_status()
# %%
pages = [http.get(u).json() for u in urls]  # expect: missing-await
# %% ok
async def page(u):
    r = await http.get(u)
    r.raise_for_status()
    return r.json()
first = await page(urls[0])
pages = await asyncio.gather(*map(page, urls))
print(first["path"], len(pages))
# %%
c = httpx.AsyncClient(transport=httpx.MockTransport(lambda r: httpx.Response(200)))
try:
    r = await c.get("http://web.test/x")
finally:
    c.aclose()  # expect: missing-await
# %%
async def body(u):
    async with http.stream("GET", u) as r:
        data = r.aread()  # expect: missing-await
        return data.decode()
await body("/a")
# %%
async def push(items):
    async with httpx.AsyncClient() as c:
        for it in items:
            c.post("http://web.test/x", json=it)  # expect: missing-await
await push([{"a": 1}])
# %% ok
def load():
    with httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200, json={}))) as c:
        return c.get("http://web.test/x").json()
print(load())
# %%
req = http.build_request("GET", "/a")
resp = http.send(req)  # expect: missing-await
print(resp.status_code)
# %%
r = await http.get("/a")
t = await r.text  # expect: await-non-awaitable
# %%
r = await sync_http.get("/a")  # expect: await-non-awaitable
# %%
async def get(u):
    with httpx.AsyncClient() as c:  # expect: missing-async
        return await c.get(u)
# %%
async def get(u):
    with http.stream("GET", u) as r:  # expect: missing-async
        return await r.aread()
# %%
async def get(u):
    return sync_http.get(u).json()  # expect: blocking-call
# %%
async def load(us):
    out = []
    for u in us:
        r = await http.get(u)  # expect: sequential-awaits
        out.append(r.json())
    return out
