"""What must never be seen in anything that muster writes, and the search for it.

Every test ends with it (lab.py): whatever it was about, all files below the lab's folder and all that a program said are
searched for the keys, tokens and passwords that went in: as they are, percent-encoded, and in base64 wherever they begin.
"""
import base64
import os
import re
import subprocess
import urllib.parse

MANY = 400  # files for one zstd
SHORT = 8   # what is shorter is found by chance
# How every session's token begins: the stand-in's carry their role in base64.
SESSION = base64.b64encode(b'{"role":"')
REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")


def forms(secret):
    """The bytes that a secret may look like."""
    plain = secret.encode()
    found = {plain, urllib.parse.quote(secret, safe="").encode()}
    for shift in range(3):
        # The letters that only hold bits of the secret: not the first ones, nor the last.
        text = base64.b64encode(b"\0" * shift + plain)
        first, last = (0, 2, 3)[shift], -4 if (shift + len(plain)) % 3 else None
        found.add(text[first:last])
        found.add(text[first:last].replace(b"+", b"-").replace(b"/", b"_"))
    return {form for form in found if len(form) >= SHORT}


def expanded(word, env):
    """A value of the configuration as muster reads it, its references to the environment replaced."""
    return REFERENCE.sub(lambda m: "$" if m[0] == "$$" else env.get(m[1]) or m[2] or "", word)


def passwords(settings, env):
    """Those of the sinks, and the values of their headers, if the settings have any."""
    sinks = settings.get("sinks") if isinstance(settings, dict) else None
    for sink in sinks.values() if isinstance(sinks, dict) else ():
        basic, headers = ((sink.get(key) if isinstance(sink, dict) else None) for key in ("basic_auth", "headers"))
        words = [basic.get("password")] if isinstance(basic, dict) else []
        words += headers.values() if isinstance(headers, dict) else []
        yield from (expanded(word, env) for word in words if isinstance(word, str))
        names = [basic.get("password_file") if isinstance(basic, dict) else None,
                 sink.get("bearer_token_file") if isinstance(sink, dict) else None]
        for name in names:
            if isinstance(name, str) and os.path.isfile(name):
                with open(name, encoding="utf-8", errors="replace") as file:
                    yield file.read().strip()


def unpacked(paths):
    """The bytes of compressed files, one after the other; damaged ones as far as they go."""
    for i in range(0, len(paths), MANY):
        done = subprocess.run(["zstd", "-dcq", *paths[i:i + MANY]], capture_output=True, check=False, timeout=300)
        yield paths[i], done.stdout


def written(folder, own):
    """(where, bytes) of everything below a folder, but for these files of the test's own."""
    packed = []
    for place, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(place, name)
            if os.path.relpath(path, folder) in own or not os.path.isfile(path):
                continue
            if path.endswith(".zst"):
                packed.append(path)
            with open(path, "rb") as file:
                yield path, file.read()
    yield from unpacked(packed)


def leaks(needles, places):
    """What was found, and where; never the secret itself."""
    return [f"a secret of {len(needle)} bytes in {place}" for place, data in places for needle in needles if needle in data]
