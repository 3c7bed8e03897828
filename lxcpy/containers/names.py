"""Names for containers that were given none: a manner and a bird."""

import os
from collections.abc import Iterator

MANNERS = (
    "agile amber bold brave bright brisk calm candid clever cosy crisp daring eager early earnest "
    "fair fleet fond frank gentle glad golden grand happy hardy honest jolly keen kind lively "
    "lucid lucky merry mighty modest neat nimble noble patient placid plucky polite prompt proud "
    "quick quiet ready robust rustic sage serene sharp silver sleek smart snug sober solid spry "
    "stable steady still stout sunny swift tidy trusty upbeat vivid warm wary witty young zesty"
).split()
BIRDS = (
    "albatross avocet bittern bunting buzzard chough condor coot crake crane curlew dipper dove "
    "dunlin dunnock eagle egret eider falcon fieldfare finch gannet godwit goldeneye goshawk grebe "
    "grouse gull harrier hawk heron hobby hoopoe ibis jackdaw jay kestrel kingfisher kite knot "
    "lapwing lark linnet magpie martin merlin nightjar nuthatch oriole osprey ouzel owl partridge "
    "petrel pipit plover puffin quail rail raven redstart robin rook ruff sandpiper scoter serin "
    "shearwater shrike siskin skua skylark snipe sparrow starling stilt stint stork swallow swan "
    "swift teal tern thrush turnstone wagtail warbler wheatear whimbrel wigeon woodcock wren"
).split()


def suggest() -> Iterator[str]:
    """Random names without end; later ones carry a number, since the first may all be taken."""
    tries = 0
    while True:
        first, second = os.urandom(2)
        name = f"{MANNERS[first % len(MANNERS)]}_{BIRDS[second % len(BIRDS)]}"
        yield name if tries < 8 else f"{name}{int.from_bytes(os.urandom(3), 'big')}"
        tries += 1
