"""Archives of strangers, and image ids as other engines compute them."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from lxcpy.images.layers import LayerStore
from lxcpy.storage import load
from tests.integration.conftest import Lxcpy


def _tar(*entries: tuple[str, bytes, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            entry.linkname = link
            tar.addfile(entry)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"this is no tar" * 100,
        _tar(("../escape", tarfile.REGTYPE, "")),
        _tar(("/absolute", tarfile.REGTYPE, "")),
        _tar(("l", tarfile.SYMTYPE, "/etc"), ("l/escape", tarfile.REGTYPE, "")),
        _tar(("l", tarfile.SYMTYPE, "../../.."), ("l/escape", tarfile.REGTYPE, "")),
        _tar(("hard", tarfile.LNKTYPE, "../../etc/passwd")),
        _tar(("file", tarfile.REGTYPE, ""))[:300],
        b"\x1f\x8b\x08\x00damaged",
    ],
)
def test_hostile_and_damaged_archives_are_refused(lxcpy: Lxcpy, data: bytes) -> None:
    before = sorted(os.listdir(f"{lxcpy.root}/layers"))
    done = lxcpy("import", "-", "bad", stdin=data, code=125)
    assert done.stderr.startswith(b"Error: ")
    assert len(done.stderr.splitlines()) <= 2
    assert before == sorted(os.listdir(f"{lxcpy.root}/layers"))
    assert os.listdir(f"{lxcpy.root}/scratch") == []
    assert "bad" not in lxcpy.out("images")


@pytest.mark.parametrize("program", ["cat", "gzip", "xz", "zstd"])
def test_compressed_archives_make_the_same_layer(
    lxcpy: Lxcpy, busybox_tar: Path, program: str
) -> None:
    options = [] if program == "cat" else ["-c"]
    with busybox_tar.open("rb") as file:
        data = subprocess.run([program, *options], stdin=file, capture_output=True, check=True)
    lxcpy("import", "-", "again", stdin=data.stdout)
    layers = [
        json.loads(lxcpy.out("inspect", name))[0]["RootFS"]["Layers"]
        for name in ("busybox", "again")
    ]
    assert layers[0] == layers[1]
    assert f"sha256:{hashlib.sha256(busybox_tar.read_bytes()).hexdigest()}" == layers[0][0]


def test_podman_computes_the_same_ids(lxcpy: Lxcpy, tmp_path: Path) -> None:
    lxcpy(
        "run", "--network", "none", "--name", "c", "busybox", "sh", "-c", "echo a >/a; rm /bin/ls"
    )
    lxcpy("commit", "-m", "two layers", "c", "two:1")
    image = json.loads(lxcpy.out("inspect", "two:1"))[0]
    image_id = image["Id"].removeprefix("sha256:")
    archive = tmp_path / "image.tar"
    store = LayerStore(f"{lxcpy.root}/layers", f"{lxcpy.root}/scratch", load("overlay"))
    with tarfile.open(archive, "w") as tar:
        tar.add(f"{lxcpy.root}/images/{image_id}.json", f"{image_id}.json")
        paths = []
        for number, diff_id in enumerate(image["RootFS"]["Layers"]):
            layer = tmp_path / f"{number}.tar"
            with layer.open("wb") as file:
                store.tar(diff_id, file)
            tar.add(layer, layer.name)
            paths.append(layer.name)
        manifest = [{"Config": f"{image_id}.json", "RepoTags": ["two:1"], "Layers": paths}]
        entry = tarfile.TarInfo("manifest.json")
        text = json.dumps(manifest).encode()
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    place = tempfile.mkdtemp(prefix="pod")  # podman wants a short run root
    podman = [
        "podman", "--root", f"{place}/p", "--runroot", f"{place}/r",
        "--storage-driver", "vfs",
    ]  # fmt: skip
    subprocess.run([*podman, "load", "-q", "-i", archive], check=True, capture_output=True)
    inspected = subprocess.run(
        [*podman, "inspect", "--type", "image", "two:1"], check=True, capture_output=True
    )
    assert image_id == json.loads(inspected.stdout)[0]["Id"]
    shutil.rmtree(place)


def test_layers_that_a_damaged_image_may_share_are_kept(lxcpy: Lxcpy, busybox_tar: Path) -> None:
    lxcpy("import", str(busybox_tar), "other", "-m", "another config, the same layer")
    other = json.loads(lxcpy.out("inspect", "other"))[0]["Id"].removeprefix("sha256:")
    Path(lxcpy.root, "images", f"{other}.json").write_bytes(b"damaged")
    lxcpy("rmi", "busybox")
    assert len(os.listdir(f"{lxcpy.root}/layers")) == 1
